import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// A golden checkpoint as a GGUF model in memory.
private func converted(_ name: String, _ type: GGUFTypeRequest = .f32) throws -> GGUFModel {
  let model = try dense(name)
  return try GGUFModel(converting: model.exported(), of: model, type: type)
}

private func reimported(_ model: GGUFModel) throws -> ImportedGGUFModel { try ImportedGGUFModel(model) }

extension HandCut {
  /// Keeps whole groups of a Llama-shaped layer, of as many query heads as there are to a key/value head.
  fileprivate mutating func keepGroups(_ layer: Int, _ groups: [Int]) throws {
    let summary = layers[layer]
    let ratio = summary.heads / summary.keyValueHeads
    let width = summary.headDim
    func rows(_ heads: [Int]) -> [Int] { heads.flatMap { $0 * width..<($0 + 1) * width } }
    let queries = groups.flatMap { $0 * ratio..<($0 + 1) * ratio }
    let name = "model.layers.\(layer).self_attn"
    for (part, kept) in [("q", queries), ("k", groups), ("v", groups)] {
      try keep("\(name).\(part)_proj.weight", rows(kept), axis: 0)
      if model.bindings.contains(where: { $0.tensor == "\(name).\(part)_proj.bias" }) {
        try keep("\(name).\(part)_proj.bias", rows(kept), axis: 0)
      }
    }
    try keep("\(name).o_proj.weight", rows(queries), axis: 1)
    layers[layer].heads = queries.count
    layers[layer].keyValueHeads = groups.count
    keptHeads[layer] = queries
  }

  /// Keeps neurons of a Llama-shaped layer.
  fileprivate mutating func keepNeurons(_ layer: Int, _ neurons: [Int]) throws {
    let name = "model.layers.\(layer).mlp"
    for part in ["gate_proj", "up_proj"] {
      try keep("\(name).\(part).weight", neurons, axis: 0)
      if model.bindings.contains(where: { $0.tensor == "\(name).\(part).bias" }) {
        try keep("\(name).\(part).bias", neurons, axis: 0)
      }
    }
    try keep("\(name).down_proj.weight", neurons, axis: 1)
    layers[layer].feedForward = neurons.count
  }
}

@Suite("GGUF and checkpoints")
struct GGUFMappingTests {
  @Test(
    "a checkpoint that went to GGUF and back has the same parameters",
    arguments: [
      "llama-grouped", "llama-tied", "llama-biases-5", "llama-rope-llama3", "llama-rope-yarn", "qwen2", "qwen3",
      "gpt2-lm", "bert-plain", "distilbert-plain",
    ])
  func roundTrips(_ name: String) throws {
    let original = try dense(name)
    let back = try reimported(converted(name)).model
    #expect(back.layers == original.layers)
    #expect(back.className == original.className)
    var expected: [String: Weight] = [:]
    for tensor in try original.exported().tensors { expected[original.role(of: tensor.name)] = tensor.weight }
    for tensor in try back.exported().tensors {
      let role = back.role(of: tensor.name)
      #expect(try tensor.weight.cast(to: .f32).bytes() == expected[role]?.cast(to: .f32).bytes(), "\(role)")
    }
    // What the file says again is what it said.
    let again = try GGUFModel(converting: back.exported(), of: back, type: .f32)
    #expect(
      again.metadata.entries.filter { $0.key.hasPrefix("general.") == false }
        == (try converted(name)).metadata.entries.filter { $0.key.hasPrefix("general.") == false })
  }

  @Test("rows of queries and keys are in the order of rotated pairs, values are not")
  func permutes() throws {
    let model = try dense("llama-grouped")
    let file = try converted("llama-grouped")
    let width = try #require(model.layers.first).headDim
    func floats(_ name: String) throws -> [Float] {
      try #require(file.tensors.first { $0.name == name }).weight.floats()
    }
    func original(_ name: String) throws -> [Float] {
      try #require(model.exported().tensors.first { $0.name == name }).weight.cast(to: .f32).floats()
    }
    let columns = try #require(model.config["hidden_size"]?.intValue)
    let turned = try floats("blk.0.attn_q.weight")
    let plain = try original("model.layers.0.self_attn.q_proj.weight")
    // Row 1 of each head is row width / 2 of the checkpoint's head; row 2 is row 1.
    #expect(turned[columns..<2 * columns] == plain[width / 2 * columns..<(width / 2 + 1) * columns])
    #expect(turned[2 * columns..<3 * columns] == plain[columns..<2 * columns])
    #expect(try floats("blk.0.attn_v.weight") == original("model.layers.0.self_attn.v_proj.weight"))
  }

  @Test("a uniform cut edits counts only, and writes the width of heads")
  func writesUniformCut() throws {
    let imported = try reimported(converted("llama-grouped"))
    var cut = HandCut(imported.model)
    for layer in cut.layers.indices {
      try cut.keepGroups(layer, [0])
      try cut.keepNeurons(layer, [0, 2, 3])
    }
    let written = try imported.exported(graph: cut.graph, layers: cut.layers, keptHeads: cut.keptHeads)
    let before = imported.source.metadata
    let changed = written.metadata.entries.filter { before[$0.key] != $0.value }.map(\.key)
    #expect(
      Set(changed).isSubset(of: [
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.head_count_kv",
      ]))
    #expect(written.metadata.keys.prefix(before.count) == before.keys[...])
    #expect(written.tensors.map(\.name) == imported.source.tensors.map(\.name))
    let back = try reimported(written)
    #expect(back.model.layers == cut.layers)
    let expected = try cut.exported()
    for (a, b) in zip(try back.model.exported().tensors, expected.tensors) {
      #expect(a.name == b.name)
      #expect(try a.weight.bytes() == b.weight.bytes(), "\(a.name)")
    }
  }

  @Test(
    "uneven layers need a carrier, and are read back",
    arguments: [
      ("llama-grouped", "deci"), ("llama-biases-5", "deci"), ("qwen2", "deci"),
    ])
  func retargets(_ name: String, _ carrier: String) throws {
    let imported = try reimported(converted(name))
    #expect(imported.loaderRules.rows.contains { $0.loader == "llama.cpp" && $0.carrier == carrier })
    var cut = HandCut(imported.model)
    try cut.keepGroups(1, [1])
    try cut.keepNeurons(0, [1, 2])
    #expect(throws: FormatError.self) {
      try imported.exported(graph: cut.graph, layers: cut.layers, keptHeads: cut.keptHeads)
    }
    let written = try imported.exported(
      graph: cut.graph, layers: cut.layers, keptHeads: cut.keptHeads, carrier: carrier)
    #expect(written.metadata["general.architecture"] == .string(carrier))
    #expect(
      written.metadata["\(carrier).attention.head_count"]
        == .array(GGUFArray(cut.layers.map { Int32($0.heads) })))
    #expect(
      written.metadata["\(carrier).feed_forward_length"]
        == .array(GGUFArray(cut.layers.map { Int32($0.feedForward) })))
    #expect(written.metadata["\(carrier).rope.dimension_count"]?.integer == cut.layers[0].headDim)
    #expect(!written.metadata.keys.contains { $0.hasPrefix("llama.") || $0.hasPrefix("qwen2.") })
    let back = try reimported(written)
    #expect(back.model.layers == cut.layers)
    var expected: [String: Weight] = [:]
    for tensor in try cut.exported().tensors { expected[tensor.name] = tensor.weight }
    for tensor in try back.model.exported().tensors {
      #expect(try tensor.weight.bytes() == expected[tensor.name]?.bytes(), "\(tensor.name)")
    }
  }

  @Test("Qwen3 with a tied output matrix is carried with fused queries, keys and values")
  func carriesQwen3() throws {
    var model = try converted("qwen3")
    model.tensors.removeAll { $0.name == "output.weight" }
    let imported = try reimported(model)
    var cut = HandCut(imported.model)
    try cut.keepNeurons(0, [0, 1])
    let written = try imported.exported(
      graph: cut.graph, layers: cut.layers, keptHeads: cut.keptHeads, carrier: "openelm")
    let layer = cut.layers[0]
    let fused = try #require(written.tensors.first { $0.name == "blk.0.attn_qkv.weight" })
    #expect(fused.shape.extents[0] == (layer.heads + 2 * layer.keyValueHeads) * layer.headDim)
    #expect(!written.tensors.contains { $0.name.contains("attn_q.") || $0.name == "output.weight" })
    #expect(try reimported(written).model.layers == cut.layers)
  }

  @Test("untied Qwen3 and GPT-2 have no carrier")
  func refusesCarriers() throws {
    #expect(!(try reimported(converted("gpt2-lm"))).loaderRules.rows.contains { $0.carrier != nil })
    let imported = try reimported(converted("llama-grouped"))
    #expect(throws: FormatError.self) {
      try imported.exported(
        graph: imported.model.graph, layers: imported.model.layers,
        keptHeads: imported.model.layers.map { Array(0..<$0.heads) }, carrier: "openelm")
    }
  }

  @Test("layers are dropped with their metadata")
  func dropsLayers() throws {
    let model = try converted("llama-grouped")
    let imported = try ImportedGGUFModel(model, dropping: [0])
    #expect(imported.model.layers.count == (try reimported(model)).model.layers.count - 1)
    let written = try imported.exported()
    #expect(written.metadata["llama.block_count"]?.integer == imported.model.layers.count)
    let changed = written.metadata.entries.filter { model.metadata[$0.key] != $0.value }.map(\.key)
    #expect(changed == ["llama.block_count"])
    let first = try #require(written.tensors.first { $0.name == "blk.0.attn_v.weight" })
    let second = try #require(model.tensors.first { $0.name == "blk.1.attn_v.weight" })
    #expect(first.weight == second.weight)
    #expect(throws: FormatError.self) { try ImportedGGUFModel(model, dropping: [99]) }
    #expect(throws: FormatError.self) {
      try ImportedGGUFModel(model, dropping: Array(0..<imported.model.layers.count + 1))
    }
  }

  @Test("what llama.cpp refuses is refused by name")
  func refuses() throws {
    let good = try converted("llama-grouped")
    func failure(_ edit: (inout GGUFModel) -> Void) -> FormatError? {
      var model = good
      edit(&model)
      do throws(FormatError) {
        _ = try ImportedGGUFModel(model)
        return nil
      } catch { return error }
    }
    #expect(failure { _ in } == nil)
    var error = failure { $0.metadata.set("llama.block_count", to: .uint64(2), keepingType: false) }
    #expect(error?.code == .ggufValueTypeMismatch && error?.subject == .key("llama.block_count"))
    error = failure { $0.metadata.remove("llama.attention.layer_norm_rms_epsilon") }
    #expect(error?.code == .ggufKeyMissing)
    error = failure { $0.metadata.set("general.architecture", to: .string("mamba")) }
    #expect(error?.code == .unknownArchitecture)
    error = failure { $0.tensors.removeAll { $0.name == "blk.1.attn_k.weight" } }
    #expect(error?.code == .missingTensor)
    error = failure {
      var extra = $0.tensors[2]
      extra.name = "blk.77.attn_norm.weight"
      $0.tensors.append(extra)
    }
    #expect(error?.code == .unexpectedTensor && error?.subject == .tensor("blk.77.attn_norm.weight"))
    error = failure { $0.metadata.set("llama.feed_forward_length", to: .uint32(7)) }
    #expect(error?.code == .wrongShape)
    if case .tensor(let name)? = error?.subject { #expect(name.hasPrefix("blk.0.ffn_"), "\(name)") }
    error = failure {
      $0.metadata.set("llama.attention.head_count", to: .array(GGUFArray([4] as [Int32])), keepingType: false)
    }
    #expect(error?.code == .ggufArrayLengthMismatch)
  }

  @Test(
    "divisors of Llama 3 are torch's bits, and tell their parameters",
    arguments: [
      (
        64, 32.0, 15,
        [0x3FD3_5EC2, 0x4052_B46F, 0x411A_AAEE, 0x4200_0000] as [UInt32]
      ),
      (
        128, 8.0, 29,
        [0x3F9A_8ED5, 0x3FC6_D64A, 0x4001_AF1D, 0x402C_732E, 0x406B_CACE, 0x40A8_3C06, 0x4100_0000]
      ),
    ])
  func fitsFactors(_ width: Int, _ factor: Double, _ ones: Int, _ after: [UInt32]) throws {
    let scaling = GGUFRotary.Llama3Factors(factor: factor, low: 1, high: 4, length: 8192)
    let values = scaling.values(base: 500_000, width: width)
    #expect(values.prefix(ones).allSatisfy { $0 == 1 })
    #expect(Array(values.dropFirst(ones).prefix(after.count)).map(\.bitPattern) == after)
    #expect(GGUFRotary.Llama3Factors(fitting: values, base: 500_000, places: 131072) == scaling)
  }

  @Test(
    "names of models say what they are",
    arguments: [
      ("meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400, "Llama-3.2", "1B", "Instruct", nil as String?),
      ("mistralai/Mistral-7B-Instruct-v0.2", 7_241_732_096, "Mistral", "7B", "Instruct", "v0.2"),
      ("Qwen/Qwen2.5-0.5B", 494_032_768, "Qwen2.5", "0.5B", nil as String?, nil),
    ])
  func namesParts(
    _ id: String, _ parameters: Int, _ basename: String, _ size: String, _ finetune: String?, _ version: String?
  ) {
    let parts = ModelNameParts(id, parameters: parameters)
    #expect(parts.basename == basename)
    #expect(parts.sizeLabel == size)
    #expect(parts.finetune == finetune)
    #expect(parts.version == version)
  }

  @Test(
    "sizes have two digits",
    arguments: [(1_970_000, "2.0M"), (125_000, "125K"), (8_030_000_000, "8.0B"), (494_000_000, "494M")])
  func labelsSizes(_ parameters: Int, _ label: String) { #expect(GGUFNaming.sizeLabel(parameters) == label) }
}
