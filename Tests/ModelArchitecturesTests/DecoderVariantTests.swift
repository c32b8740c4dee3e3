import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("What Gemma, Phi-3 and StableLM have beyond Llama")
struct DecoderVariantTests {
  private func imported(
    _ name: String, _ change: (JSONValue) -> JSONValue = { $0 }, tensors: ([NamedTensor]) -> [NamedTensor] = { $0 }
  ) throws -> ImportedModel {
    let folder = try HuggingFaceFolder(at: Paths.join(golden, "\(name)/dense"))
    return try ImportedModel(config: change(folder.config), tensors: tensors(folder.tensors))
  }

  private func failure(_ name: String, _ change: (JSONValue) -> JSONValue) throws -> FormatError {
    try #require(throws: FormatError.self) { try imported(name, change) }
  }

  /// For each layer whether its attention sees a window only.
  private func slides(_ model: ImportedModel) -> [Bool] {
    let windowed = model.graph.nodes.filter { $0.op.name == "And" }.compactMap { $0.outputs[0] }
    return model.graph.nodes.filter { $0.op.name == "Attention" }.compactMap { $0.input(3) }.map(windowed.contains)
  }

  @Test("layers slide by parity, by pattern and by layer_types")
  func windows() throws {
    #expect(try slides(imported("gemma2")) == [true, false, true])
    #expect(try slides(imported("gemma3")) == [true, true, false, true])
    #expect(try slides(imported("gemma2-5")) == [false, true])
    #expect(try slides(imported("gemma3-5")) == [true, false])
    #expect(try slides(imported("phi3")) == [true, true])
    #expect(try slides(imported("phi3-longrope")) == [false, false])
    let (full, sliding) = (JSONValue("full_attention"), JSONValue("sliding_attention"))
    for name in ["gemma2", "gemma3"] {
      let layers = try imported(name).layers.count
      let listed = try imported(name) {
        $0.settingKey("layer_types", to: [full, sliding, full, full].prefix(layers).asJSON)
      }
      #expect(slides(listed) == [false, true, false, false].prefix(layers).map { $0 })
      let none = try imported(name) {
        $0.settingKey("layer_types", to: Array(repeating: full, count: layers)[...].asJSON)
          .settingKey("sliding_window", to: nil)
      }
      #expect(slides(none).allSatisfy { !$0 })
      #expect(try failure(name) { $0.settingKey("layer_types", to: [full]) }.description.contains("layer_types"))
      #expect(try failure(name) { $0.settingKey("sliding_window", to: nil) }.code == .configurationValue)
    }
  }

  @Test("layers with a window turn by angles of their own, in the words of both releases")
  func localAngles() throws {
    for name in ["gemma3", "gemma3-5"] {
      let model = try imported(name)
      let turns = model.graph.nodes.filter { $0.op.name == "RotaryEmbedding" }.compactMap { $0.input(1) }
      let byLayer = stride(from: 0, to: turns.count, by: 2).map { turns[$0] }
      #expect(Set(byLayer).count == 2)
      let flags = slides(model)
      for (index, angles) in byLayer.enumerated() {
        #expect(angles == byLayer[try #require(flags.firstIndex(of: flags[index]))])
      }
      #expect(model.loaderRules.rows.first { $0.loader == "transformers-4" }?.opens == (name == "gemma3"))
    }
  }

  @Test("embeddings are scaled by the root of their width, rounded to their type")
  func embeddingScale() throws {
    // √28 = 5.2915026 in F32; the nearest BF16 numbers are 5.28125 and 5.3125, the nearest F16 one is 5.29296875.
    for (type, expected) in [(.f32, 5.2915026), (.bf16, 5.28125), (.f16, 5.29296875)] as [(ElementType, Float)] {
      let model = try imported("gemma") { config in
        config
      } tensors: { tensors in
        tensors.map { NamedTensor(name: $0.name, weight: $0.weight.cast(to: type)) }
      }
      let scale = try #require(model.graph.nodes.first { $0.op.name == "Mul" }?.input(1))
      #expect(try model.graph[scale].initializer?.floats() == [expected])
    }
  }

  @Test("a norm whose file holds one plus the weights is read and written without arithmetic")
  func storedWithOne() throws {
    let one = Weight.floats([1], shape: [1])
    let minusOne = Weight.floats([-1], shape: [1])
    let folder = try HuggingFaceFolder(at: Paths.join(golden, "gemma2/dense"))
    let tensors = folder.tensors.map { tensor in
      tensor.name.contains("norm") ? NamedTensor(name: tensor.name, weight: tensor.weight.adding(minusOne)) : tensor
    }
    let model = try ImportedModel(config: folder.config, tensors: tensors)
    let norm = try #require(model.bindings.first { $0.tensor == "model.norm.weight" })
    let read = try #require(model.graph[norm.value].initializer)
    #expect(read.sourceSlice?.isWhole == true)
    let written = try #require(try model.exported().tensors.first { $0.name == "model.norm.weight" })
    #expect(written.weight.adding(one).sourceSlice?.isWhole == true)
  }

  @Test("scores and logits are capped where the configuration says so")
  func caps() throws {
    func caps(_ model: ImportedModel) -> (scores: [Double?], logits: Bool) {
      (
        model.graph.nodes.filter { $0.op.name == "Attention" }.map { $0.float("softcap").map { Double($0) } },
        model.graph.nodes.contains { $0.op.name == "Tanh" }
      )
    }
    #expect(try caps(imported("gemma2")) == ([1.5, 1.5, 1.5], true))
    #expect(try caps(imported("gemma2-5")) == ([2, 2], false))
    #expect(try caps(imported("gemma3-5")) == ([nil, nil], false))
    let defaults = try imported("gemma2") {
      $0.removingKey("attn_logit_softcapping").removingKey("final_logit_softcapping")
    }
    #expect(caps(defaults) == ([50, 50, 50], true))
  }

  @Test("what nobody computes is refused by name")
  func refusals() throws {
    #expect(
      try failure("gemma3") { $0.settingKey("use_bidirectional_attention", to: true) }.description
        .contains("use_bidirectional_attention"))
    #expect(
      try failure("stablelm") { $0.settingKey("partial_rotary_factor", to: 0.4) }.description
        .contains("partial_rotary_factor"))
    #expect(
      try failure("llama-grouped") { $0.settingKey("partial_rotary_factor", to: 0.5) }.code
        == .unsupportedConfiguration)
    #expect(
      try failure("phi3-longrope") { $0.settingKey("partial_rotary_factor", to: 0.5) }.code == .configurationValue)
    #expect(try failure("gemma2") { $0.settingKey("attn_logit_softcapping", to: 0) }.code == .configurationValue)
  }

  @Test("releases are said to take the head counts that they take")
  func loaderRules() throws {
    func heads(_ name: String) throws -> [CountCapability] {
      let rows = try imported(name).loaderRules.rows
      return ["transformers-4", "transformers-5"].compactMap { loader in rows.first { $0.loader == loader }?.heads }
    }
    #expect(try heads("gemma") == [.uniform, .uniform])
    #expect(try heads("gemma2") == [.uniform, .uniformDividing(32)])
    #expect(try heads("gemma3") == [.uniform, .uniformDividing(32)])
    #expect(try heads("phi3") == [.uniform, .uniform])
    #expect(try heads("phi3-longrope") == [.fixed, .fixed])
    #expect(try heads("stablelm") == [.fixed, .fixed])
  }
}

extension ArraySlice<JSONValue> {
  fileprivate var asJSON: JSONValue { .array(Array(self)) }
}
