import Pollard
import PollardBase
import Testing

#if !DEBUG
  @Suite("A compacted model that was tampered with is not equal, and the difference is named")
  struct TamperingTests {
    private let quick = VerificationOptions(batch: 1, length: 5)

    @Test(
      "one flipped bit in any tensor, with the receipt and without",
      arguments: [
        "bert-masked-lm", "distilbert-plain", "gpt2-lm", "llama-grouped", "qwen3", "gemma2", "phi3",
        "stablelm-head-norms-5",
      ], [true, false])
    func everyTensor(_ name: String, _ hasReceipt: Bool) throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted(name, .masks, in: folder)
      if !hasReceipt { try Directories.remove(Paths.join(output, "compaction.json")) }
      #expect(try scenario.verify(output, options: quick).equal)
      for (number, (tensor, stored)) in try Tensors.stored(output).sorted(by: { $0.key < $1.key }).enumerated() {
        let byte = (number * 7919) % stored.bytes.count
        try Tensors.flipBit(number % 8, ofByte: byte, of: tensor, in: output)
        let verification = try scenario.verify(output, options: quick)
        #expect(!verification.equal, "bit \(number % 8) of byte \(byte) of \(tensor)")
        #expect(verification.firstDifference != nil)
        let problems = (verification.report.proof?.problems ?? []) + verification.report.structure.problems
        // Without a receipt a row that changed may keep its layer from being matched; then the layer is named.
        #expect(
          problems.contains { $0.contains(tensor) || (!hasReceipt && $0.contains("layer")) }, "\(tensor): \(problems)")
        try Tensors.flipBit(number % 8, ofByte: byte, of: tensor, in: output)
      }
      #expect(try scenario.verify(output, options: quick).equal)
    }

    /// `bert-plain` keeps heads 0 and 2 of layer 0, each of 8 rows, and not its neuron 1.
    @Test(
      "the run names the head or neuron that differs, in the original's numbers",
      arguments: [
        ("encoder.layer.0.attention.self.value.weight", 8 * 24 * 4 + 2, "layer 0, head 2"),
        ("encoder.layer.0.attention.self.value.bias", 3 * 4 + 2, "layer 0, head 0"),
        ("encoder.layer.2.attention.self.value.weight", 2, "layer 2, head 1"),
        ("encoder.layer.0.intermediate.dense.bias", 1 * 4 + 2, "layer 0, neuron 2"),
        ("encoder.layer.1.intermediate.dense.bias", 36 * 4 + 2, "layer 1, neuron 36"),
        ("embeddings.LayerNorm.bias", 5 * 4 + 2, "hidden_states.0, channel 5"),
      ])
    func named(_ tensor: String, _ byte: Int, _ place: String) throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      try Tensors.flipBit(6, ofByte: byte, of: tensor, in: output)
      let verification = try scenario.verify(output)
      #expect(!verification.equal)
      #expect(verification.bitIdentical == false)
      #expect(verification.firstDifference?.hasPrefix(place) == true, "\(verification.firstDifference ?? "none")")
      #expect(verification.report.proof?.problems.contains { $0.contains(tensor) } == true)
    }

    @Test(
      "the operator that reads a changed weight is named, whatever comes before and after it",
      arguments: [
        ("llama-grouped", "model.layers.0.self_attn.q_proj.weight", "MatMul"),
        ("llama-grouped", "model.layers.1.self_attn.k_proj.weight", "MatMul"),
        ("llama-grouped", "model.layers.1.self_attn.o_proj.weight", "MatMul"),
        ("llama-grouped", "model.layers.1.mlp.gate_proj.weight", "MatMul"),
        ("llama-grouped", "model.layers.0.mlp.up_proj.weight", "MatMul"),
        ("llama-grouped", "model.layers.1.mlp.down_proj.weight", "MatMul"),
        ("bert-plain", "encoder.layer.1.intermediate.dense.bias", "Add"),
        ("bert-plain", "encoder.layer.2.attention.self.value.weight", "MatMul"),
        ("gpt2-lm", "transformer.h.1.mlp.c_proj.weight", "MatMul"),
      ])
    func divergence(_ name: String, _ tensor: String, _ op: String) throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted(name, .masks, in: folder)
      // The highest byte of the first element: its exponent.
      let stored = try #require(try Tensors.stored(output)[tensor])
      let size = stored.bytes.count / stored.shape.reduce(1, *)
      try Tensors.flipBit(6, ofByte: size - 1, of: tensor, in: output)
      var stages: Set<VerificationProgress.Stage> = []
      let verification = try verify(
        original: scenario.original, compacted: output, masks: scenario.masks.map(MaskSource.file), pool: pool,
        progress: { stages.insert($0.stage) })
      let found = try #require(verification.report.run?.comparison.divergence)
      #expect(found.weights == [tensor] && found.op == op, "\(found)")
      #expect(found.reference != found.other && found.differing > 0)
      #expect(verification.text.contains(found.node))
      #expect(stages == [.tensors, .run, .search])
    }

    @Test(
      "another number in the configuration",
      arguments: [
        ("bert-plain", "layer_norm_eps", 1e-5 as JSONValue), ("bert-plain", "hidden_act", "relu"),
        ("bert-plain", "hidden_act", "gelu_new"), ("llama-grouped", "rope_theta", 10001.0),
        ("llama-grouped", "rms_norm_eps", 1e-5),
        ("qwen3", "rope_theta", 9999.0), ("gpt2-lm", "layer_norm_epsilon", 1e-6),
        ("gpt2-lm", "scale_attn_weights", false),
        ("mistral-window", "sliding_window", 2), ("distilbert-plain", "activation", "relu"),
        ("llama-rope-llama3", "rope_scaling", nil), ("gemma2", "attn_logit_softcapping", 1.25),
        ("gemma2", "final_logit_softcapping", nil), ("gemma2", "query_pre_attn_scalar", 11),
        ("gemma2", "layer_types", .array(["full_attention", "sliding_attention", "sliding_attention"])),
        ("gemma3", "rope_local_base_freq", 20000.0), ("gemma3", "rope_scaling", nil),
        ("phi3", "partial_rotary_factor", 0.5), ("phi3-longrope", "original_max_position_embeddings", 11),
        ("stablelm", "partial_rotary_factor", 0.5),
      ])
    func configuration(_ name: String, _ key: String, _ value: JSONValue) throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted(name, .masks, in: folder)
      try Files.set(key, to: value, in: Paths.join(output, "config.json"))
      let verification = try scenario.verify(output)
      #expect(!verification.equal)
      #expect(!verification.report.structure.ok)
      #expect(verification.firstDifference?.contains("computation differs") == true)
    }

    @Test("a unit that is alive and gone is unproven, with the receipt and without", arguments: [true, false])
    func unproven(_ hasReceipt: Bool) throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      if !hasReceipt { try Directories.remove(Paths.join(output, "compaction.json")) }
      let verification = try verify(original: scenario.original, compacted: output, options: quick, pool: pool)
      let proof = try #require(verification.report.proof)
      #expect(!verification.equal && !proof.ok)
      #expect(proof.unproven == 33)
      #expect(proof.dead == 0 && proof.declared == 0)
      #expect(proof.problems.contains { $0.contains("layer 0, head 1 is gone but neither dead nor declared off") })
    }

    @Test("masks that were not given: one unit fewer is unproven, one more is still there")
    func otherMasks() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      let text = try Files.text(#require(scenario.golden.path("masks_json")))
      try folder.write("fewer.json", text.replacing(#""0":[1],"2":[0,2]"#, with: #""2":[0,2]"#))
      try folder.write("more.json", text.replacing(#""0":[1],"2":[0,2]"#, with: #""0":[1],"1":[2],"2":[0,2]"#))
      let fewer = try verify(
        original: scenario.original, compacted: output, masks: .file(folder("fewer.json")), options: quick, pool: pool)
      #expect(!fewer.equal)
      #expect(fewer.report.proof?.unproven == 1)
      let more = try verify(
        original: scenario.original, compacted: output, masks: .file(folder("more.json")), options: quick, pool: pool)
      #expect(!more.equal)
      #expect(more.report.proof?.unproven == 0)
      #expect(more.report.proof?.problems == ["layer 1, head 2 is declared off and still there"])
    }

    @Test("a receipt that lies about what is kept does not help")
    func lyingReceipt() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      let path = Paths.join(output, "compaction.json")
      let honest = try Files.text(path)
      for (truth, lie) in [
        (#""before":3,"kept":[0,2]"#, #""before":3,"kept":[1,2]"#),
        (#""before":3,"kept":[1],"padded":[]"#, #""before":3,"kept":[0],"padded":[0]"#),
        (#""before":3,"kept":[0,2],"padded":[]"#, #""before":3,"kept":[0,2],"padded":[2]"#),
      ] {
        let text = honest.replacing(truth, with: lie)
        #expect(text != honest)
        try Files.write(path, Array(text.utf8))
        #expect(try !scenario.verify(output, options: quick).equal, "\(lie)")
      }
      // Declaring removed units dead changes nothing: classes are derived again.
      try Files.write(path, Array(honest.replacing(#""class":"declared""#, with: #""class":"dead""#).utf8))
      let verification = try verify(original: scenario.original, compacted: output, options: quick, pool: pool)
      #expect(!verification.equal)
      #expect(verification.report.proof?.unproven == 33)
    }

    @Test("a receipt that does not fit its own model is refused with a remedy")
    func brokenReceipt() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      let path = Paths.join(output, "compaction.json")
      let honest = try Files.text(path)
      for broken in [
        honest.replacing(#""kept":[0,2]"#, with: #""kept":[0]"#),
        honest.replacing(#""kept":[0,2]"#, with: #""kept":[0,7]"#),
        honest.replacing(#""kept":[0,2]"#, with: #""kept":[2,0]"#),
        honest.replacing(#""schema":1"#, with: #""schema":2"#), "[]",
      ] {
        try Files.write(path, Array(broken.utf8))
        let failure = #expect(throws: FormatError.self) { _ = try scenario.verify(output) }
        #expect(failure?.code == .receiptMalformed)
        #expect(failure?.remedy?.contains("delete the file") == true)
      }
    }

    @Test("swapping two kept heads is seen, although the function is the same")
    func swapped() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      for part in ["query", "key", "value"] {
        for kind in ["weight", "bias"] {
          try Tensors.change("encoder.layer.0.attention.self.\(part).\(kind)", in: output) { bytes in
            let half = bytes.count / 2
            bytes = bytes.suffix(half) + bytes.prefix(half)
          }
        }
      }
      #expect(try !scenario.verify(output, options: quick).equal)
    }

    @Test("a tensor that is missing or does not belong is named")
    func extra() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-plain", .masks, in: folder)
      let other = Scenario(golden: try GoldenCase.named("bert-masked-lm"), origin: .masks)
      let verification = try other.verify(output)
      #expect(!verification.equal)
      #expect(verification.report.structure.problems.contains { $0.contains("BertForMaskedLM became BertModel") })
      #expect(
        try !verify(original: scenario.original, compacted: other.original, masks: scenario.maskSource, pool: pool)
          .equal)
    }
  }
#endif

@Suite("Numbers that are easily taken for zero")
struct SpecialValueTests {
  private func plan(_ name: String, _ mask: String? = nil) throws -> CompactionPlan {
    let folder = try TemporaryFolder()
    if let mask { try folder.write("m.json", mask) }
    return try Model(at: golden + "/\(name)/masked").plan(
      masks: mask == nil ? .zeros : .file(folder("m.json")), options: PlanOptions(shape: .ragged), pool: pool)
  }

  @Test("NaN where a zero is multiplied voids the proof: found by zeros the unit stays, declared it is refused")
  func notANumber() throws {
    let plan = try plan("bert-nan-void")
    #expect(plan.counts.removed == 0)
    #expect(plan.counts.void == 2)
    #expect(plan.changesNothing)
    #expect(codeThrown { _ = try self.plan("bert-nan-void", #"{"remove": {"heads": {"0": [1]}}}"#) } == "notFinite")
    #expect(codeThrown { _ = try self.plan("bert-nan-void", #"{"remove": {"ffn": {"0": [7]}}}"#) } == "notFinite")
  }

  @Test("the text says why such units stay")
  func explained() throws {
    let model = try Model(at: golden + "/bert-nan-void/masked")
    #expect(try model.preview(model.plan(pool: pool)).text.contains("void: 2 units have weights that are not finite"))
    let constant = try Model(at: golden + "/bert-constant-heads/masked")
    #expect(try constant.preview(constant.plan(pool: pool)).text.contains("adds the same vector for every token; kept"))
  }

  @Test("zero queries and keys prove nothing: such a head averages")
  func averagingHeads() throws { #expect(try plan("bert-qk-zero").counts.requested == 0) }

  @Test("negative zero is a zero")
  func negativeZero() throws { #expect(try plan("bert-negative-zero").counts.dead == 4) }

  @Test("a subnormal is not a zero")
  func subnormal() throws {
    let plan = try plan("bert-subnormal")
    #expect(plan.counts.dead == 0)
    #expect(plan.counts.constant == 1)
  }
}
