import GraphCompaction
import Pollard
import PollardBase
import Testing

#if !DEBUG
  @Suite("Layers that add nothing are left out, proved from the weights, and nothing changes")
  struct DeadLayerTests {
    private func compact(
      _ model: Model, _ masks: MaskSource = .zeros, to output: String, _ format: ModelFormat? = nil
    ) throws -> CompactionReport {
      try model.compact(
        model.plan(masks: masks, options: PlanOptions(format: format), pool: pool), to: output,
        options: WriteOptions(format: format, verifies: true), pool: pool, masks: masks)
    }

    @Test("the rest computes what torch and ONNX Runtime compute of the whole", arguments: LayerCase.all)
    func found(_ golden: LayerCase) throws {
      let folder = try TemporaryFolder()
      let whole = try Model(at: golden.model)
      let rest = try whole.withoutIdleLayers(pool: pool)
      #expect(rest.deadLayers == golden.dead)
      if !golden.isGraph { #expect(rest.layers.count == whole.layers.count - golden.gone) }
      let small = folder(golden.output("small"))
      let report = try compact(rest, to: small)
      let verification = try #require(report.verification)
      #expect(verification.equal && verification.bitIdentical == true, "\(verification.text)")
      #expect(report.json["dead_layers"]?.arrayValue?.compactMap(\.intValue) == golden.dead)
      if !golden.dead.isEmpty || !golden.parts.isEmpty { #expect(report.parameters.after < report.parameters.before) }
      try golden.expectOutputs(of: golden.model, equal: golden.expected, folder)
      try golden.expectOutputs(of: small, equal: golden.expected, folder)

      let later = try verify(original: golden.model, compacted: small, pool: pool)
      #expect(later.equal && later.bitIdentical == true, "\(later.text)")
      #expect(later.report.proof?.deadLayers == golden.dead)
      if !golden.isGraph, !golden.dead.isEmpty {
        try Directories.remove(small + "/compaction.json")
        let matched = try verify(original: golden.model, compacted: small, pool: pool)
        #expect(matched.equal && matched.report.proof?.deadLayers == golden.dead, "\(matched.text)")
      }
    }

    @Test("parts of layers go from graphs, and nothing of the layers is left", arguments: LayerCase.graphs)
    func parts(_ golden: LayerCase) throws {
      let rest = try Model(at: golden.model).withoutIdleLayers(pool: pool)
      let single = rest.removals.parts.filter { !golden.dead.contains($0.layer) }
      #expect(Set(single) == Set(golden.parts))
      let names = rest.graph.nodes.map(\.name)
      for layer in golden.dead {
        #expect(!names.contains { $0.contains("/layers.\(layer)/") || $0.contains("/h.\(layer)/") })
      }
    }

    @Test("outputs in other formats are the same function", arguments: ["llama", "qwen2", "gpt2", "gemma3"])
    func converted(_ name: String) throws {
      let golden = try LayerCase.named(name)
      let folder = try TemporaryFolder()
      let rest = try Model(at: golden.model).withoutIdleLayers(pool: pool)
      for (format, output) in [(ModelFormat.onnx, "small.onnx"), (ModelFormat.gguf, "small.gguf")] {
        if format == .gguf, name == "gemma3" { continue }
        let report = try compact(rest, to: folder(output), format)
        #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
        #expect(try verify(original: golden.model, compacted: folder(output), pool: pool).equal)
      }
    }

    @Test("a GGUF file loses them as well", arguments: ["llama", "gpt2"])
    func packed(_ name: String) throws {
      let golden = try LayerCase.named(name)
      let folder = try TemporaryFolder()
      try Model(at: golden.model).convert(
        to: folder("whole.gguf"), type: nil, options: WriteOptions(format: .gguf), pool: pool)
      let rest = try Model(at: folder("whole.gguf")).withoutIdleLayers(pool: pool)
      #expect(rest.deadLayers == golden.dead)
      let report = try compact(rest, to: folder("small.gguf"))
      #expect(report.verification?.bitIdentical == true, "\(report.verification?.text ?? "")")
      let later = try verify(original: folder("whole.gguf"), compacted: folder("small.gguf"), pool: pool)
      #expect(later.equal && later.report.proof?.deadLayers == golden.dead, "\(later.text)")
    }

    @Test("they stay when that is asked for")
    func kept() throws {
      let model = try Model(at: LayerCase.named("llama").model)
      #expect(try model.withoutIdleLayers(keepsDead: true, pool: pool).layers.count == model.layers.count)
    }

    /// A tensor of a dead layer and an element that is set to the smallest number other than zero, or to not-a-number.
    static let changes: [(name: String, tensor: String, layer: Int, isNaN: Bool)] = [
      ("llama", "model.layers.1.self_attn.o_proj.weight", 1, false),
      ("llama", "model.layers.1.mlp.down_proj.weight", 1, false),
      ("llama", "model.layers.1.self_attn.q_proj.weight", 1, true),
      ("llama", "model.layers.1.input_layernorm.weight", 1, true),
      ("llama", "model.layers.1.mlp.gate_proj.weight", 1, true),
      ("llama-biases", "model.layers.0.mlp.down_proj.bias", 0, false),
      ("gpt2", "transformer.h.1.attn.c_proj.bias", 1, false),
      ("gemma3", "model.layers.2.mlp.up_proj.weight", 2, false),
      ("gemma3", "model.layers.2.post_attention_layernorm.weight", 2, true),
      ("t5", "decoder.block.1.layer.1.EncDecAttention.o.weight", 3, false),
    ]

    @Test(
      "one number other than zero, or one that is not finite, keeps a layer", arguments: DeadLayerTests.changes.indices)
    func changed(_ index: Int) throws {
      let change = Self.changes[index]
      let golden = try LayerCase.named(change.name)
      let folder = try TemporaryFolder()
      let path = try folder.copy(golden.model, as: "model")
      try Tensors.change(change.tensor, in: path) { bytes in
        let last = bytes.endIndex - 4
        bytes.replaceSubrange(last..<last + 4, with: change.isNaN ? [0, 0, 0xC0, 0x7F] : [1, 0, 0, 0])
      }
      let rest = try Model(at: path).withoutIdleLayers(pool: pool)
      #expect(rest.deadLayers == golden.dead.filter { $0 != change.layer })

      // A model without the layer is not the changed original's, whatever its receipt says.
      try compactAll(golden, to: folder("small"))
      let verification = try verify(original: path, compacted: folder("small"), pool: pool)
      #expect(!verification.equal)
      #expect((verification.report.proof?.unproven ?? 1) > 0)
    }

    private func compactAll(_ golden: LayerCase, to output: String) throws {
      let rest = try Model(at: golden.model).withoutIdleLayers(pool: pool)
      try rest.compact(rest.plan(pool: pool), to: output, pool: pool)
    }

    @Test("a mask that declares all units of a layer off makes it dead where no bias is left")
    func declared() throws {
      for (name, isDead) in [("llama", true), ("gpt2", false)] {
        let golden = try LayerCase.named(name)
        let folder = try TemporaryFolder()
        let model = try Model(at: golden.model)
        let layer = golden.bypassed
        let heads = (0..<model.layers[layer].heads).map(String.init).joined(separator: ",")
        let neurons = (0..<model.layers[layer].feedForward).map(String.init).joined(separator: ",")
        try folder.write(
          "masks.json", "{\"remove\": {\"heads\": {\"\(layer)\": [\(heads)]}, \"ffn\": {\"\(layer)\": [\(neurons)]}}}")
        let masks = MaskSource.file(folder("masks.json"))
        let rest = try model.withoutIdleLayers(masks: masks, pool: pool)
        #expect(rest.deadLayers == (isDead ? [layer] : []))
        let report = try compact(rest, masks, to: folder("small"))
        #expect(report.verification?.bitIdentical == true, "\(report.verification?.text ?? "")")
        #expect(report.text.contains("as fill, which") == !isDead)
        let small = folder("small")
        let told = try verify(original: golden.model, compacted: small, masks: masks, pool: pool)
        #expect(told.equal && (told.report.run?.distanceFromUnmasked ?? 0) > 0, "\(told.text)")
        #expect(try !verify(original: golden.model, compacted: small, pool: pool).equal)
        if isDead { try golden.expectOutputs(of: small, equal: golden.expectedWithout, folder) }
      }
    }
  }

  extension LayerCase {
    /// How many entries of the list of layers the dead ones have; a decoder's layers have two.
    fileprivate var gone: Int { name == "t5" ? dead.count + dead.count { $0 >= 2 } : dead.count }
  }
#endif
