import ModelArchitectures
import PollardBase
import TensorStorage
import Testing

@Suite("What is not understood is refused by name")
struct RefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var model: @Sendable () -> SmallModel
    var code: DiagnosticCode<FormatDomain>
    var words: [String]
  }

  static let gate = "model.layers.0.mlp.gate_proj.weight"
  static let cases: [Case] = [
    Case(
      testDescription: "unknown model type", model: { SmallModel.llama.setting("model_type", to: "mamba") },
      code: .unknownArchitecture, words: ["\"mamba\"", "llama, mistral"]),
    Case(
      testDescription: "no model type", model: { SmallModel.llama.setting("model_type", to: nil) },
      code: .unknownArchitecture, words: ["model_type", "no value"]),
    Case(
      testDescription: "unknown class",
      model: { SmallModel.llama.setting("architectures", to: ["LlamaForSequenceClassification"]) },
      code: .unsupportedClass, words: ["LlamaForSequenceClassification", "LlamaModel, LlamaForCausalLM"]),
    Case(
      testDescription: "missing tensor", model: { SmallModel.llama.replacing(gate, with: nil) }, code: .missingTensor,
      words: [gate, "[6, 8]"]),
    Case(
      testDescription: "missing output matrix", model: { SmallModel.llama.setting("tie_word_embeddings", to: false) },
      code: .missingTensor, words: ["\"lm_head.weight\"", "[5, 8]"]),
    Case(
      testDescription: "extra tensor",
      model: { SmallModel.llama.adding("model.layers.1.mlp.gate_proj.weight", [6, 8]) },
      code: .unexpectedTensor, words: ["model.layers.1.mlp.gate_proj.weight", "1 layers", "F32[6, 8]"]),
    Case(
      testDescription: "wrong shape",
      model: {
        SmallModel.llama.replacing(gate, with: NamedTensor(name: gate, weight: .zeros(type: .f32, shape: [7, 8])))
      }, code: .wrongShape, words: [gate, "expected [6, 8]", "found [7, 8]"]),
    Case(
      testDescription: "wrong rank",
      model: {
        let name = "model.layers.0.self_attn.q_proj.weight"
        return SmallModel.llama.replacing(name, with: NamedTensor(name: name, weight: .zeros(type: .f32, shape: [32])))
      }, code: .wrongShape, words: ["q_proj", "expected [32, 8]", "found [32]"]),
    Case(
      testDescription: "wrong element type",
      model: {
        SmallModel.llama.replacing(gate, with: NamedTensor(name: gate, weight: .zeros(type: .i64, shape: [6, 8])))
      }, code: .unexpectedParameterType, words: [gate, "I64"]),
    Case(
      testDescription: "the same parameter with and without prefix",
      model: { SmallModel.llama.adding("norm.weight", [8]) }, code: .duplicateParameter,
      words: ["norm.weight", "model.norm.weight"]),
    Case(
      testDescription: "quantised",
      model: { SmallModel.llama.setting("quantization_config", to: ["bits": 4, "quant_method": "gptq"]) },
      code: .quantizedCheckpoint, words: ["gptq", "quantization_config"]),
    Case(
      testDescription: "unknown activation", model: { SmallModel.llama.setting("hidden_act", to: "xielu") },
      code: .unsupportedConfiguration, words: ["hidden_act", "xielu"]),
    Case(
      testDescription: "count of the wrong kind", model: { SmallModel.llama.setting("num_hidden_layers", to: "two") },
      code: .configurationValue, words: ["num_hidden_layers", "\"two\"", "whole number"]),
    Case(
      testDescription: "count out of range", model: { SmallModel.llama.setting("num_hidden_layers", to: -1) },
      code: .configurationValue, words: ["num_hidden_layers", "-1"]),
    Case(
      testDescription: "a count no machine could hold",
      model: { SmallModel.llama.setting("head_dim", to: 4_611_686_018_427_387_904) }, code: .configurationValue,
      words: ["head_dim"]),
    Case(
      testDescription: "more layers than tensors",
      model: { SmallModel.llama.setting("num_hidden_layers", to: 1_000_000) },
      code: .missingTensor, words: ["model.layers.1."]),
    Case(
      testDescription: "groups that do not divide", model: { SmallModel.llama.setting("num_key_value_heads", to: 3) },
      code: .configurationValue, words: ["num_key_value_heads", "divisor"]),
    Case(
      testDescription: "mask without weights", model: { SmallModel.llama.adding(gate + "_mask", [6, 8]) },
      code: .incompletePrunePair, words: [gate + "_orig"]),
    Case(
      testDescription: "mask of another shape",
      model: {
        SmallModel.llama.replacing(gate, with: nil).adding(gate + "_orig", [6, 8]).adding(gate + "_mask", [6, 1])
      }, code: .wrongShape, words: [gate + "_mask", "[6, 8]", "[6, 1]"]),
    Case(
      testDescription: "pair beside its parameter",
      model: { SmallModel.llama.adding(gate + "_orig", [6, 8]).adding(gate + "_mask", [6, 8]) },
      code: .duplicateParameter, words: [gate]),
  ]

  @Test("with code, subject, expectation and finding", arguments: cases)
  func refuses(_ example: Case) throws {
    let error = try #require(example.model().failure())
    #expect(error.code == example.code)
    for word in example.words { #expect(error.description.contains(word), "\(error)") }
  }

  @Test("the model these cases start from is accepted")
  func accepted() throws {
    let model = try SmallModel.llama.imported()
    try model.graph.validate()
    #expect(model.layers == [LayerSummary(index: 0, heads: 2, keyValueHeads: 1, headDim: 16, feedForward: 6)])
  }

  @Test(
    "masks of any number type are multiplied in", arguments: [ElementType.bool, .u8, .i64, .f16, .bf16, .f32, .f64])
  func maskTypes(_ type: ElementType) throws {
    let model = try SmallModel.llama.replacing(Self.gate, with: nil).adding(Self.gate + "_orig", [6, 8])
      .adding(Self.gate + "_mask", [6, 8], type: type).imported()
    #expect(model.prunePairs.map(\.maskType) == [type])
    #expect(model.prunePairs.map(\.parameter) == [Self.gate])
    #expect(try model.exported().tensors.contains { $0.name == Self.gate })
  }

  @Test("an equal stored copy of a tied matrix is passed through, another one is kept apart and told")
  func storedTiedMatrix() throws {
    let equal = try SmallModel.llama.adding("lm_head.weight", [5, 8]).imported()
    #expect(equal.passedThrough.first?.reason == .copy(of: "model.embed_tokens.weight"))
    #expect(try equal.parameterCount == SmallModel.llama.imported().parameterCount)
    var other = SmallModel.llama
    let ones = Weight.floats(Array(repeating: 1, count: 40), shape: [5, 8])
    other.tensors.append(NamedTensor(name: "lm_head.weight", weight: ones))
    let apart = try other.imported()
    #expect(apart.passedThrough.isEmpty)
    #expect(apart.notes.count == 1)
    #expect(apart.bindings.contains { $0.tensor == "lm_head.weight" })
  }
}
