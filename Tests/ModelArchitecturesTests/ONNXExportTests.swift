import CheckpointFormats
import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// The export of a golden model.
private func export(
  _ name: String, _ operatorSet: Int = ONNXExport.defaultOperatorSet, type: ElementType? = nil,
  inputs: Set<String>? = nil
) throws -> ONNXExport {
  var options = ONNXExport.Options()
  options.operatorSet = operatorSet
  options.type = type
  options.inputs = inputs
  options.producerVersion = "1.2.3"
  options.metadata = [(key: "pollard.compaction", value: "{}")]
  return try ONNXExport(dense(name), options: options)
}

@Suite("Models as ONNX messages")
struct ONNXExportTests {
  /// Inputs and outputs of each architecture, as optimum 1.27 names them for exports without a cache.
  static let interfaces: [(model: String, inputs: [String], outputs: [String])] = [
    ("bert-plain", ["input_ids", "attention_mask", "token_type_ids"], ["last_hidden_state", "pooler_output"]),
    ("bert-masked-lm", ["input_ids", "attention_mask", "token_type_ids"], ["logits"]),
    ("bert-question-answering", ["input_ids", "attention_mask", "token_type_ids"], ["start_logits", "end_logits"]),
    ("roberta-plain", ["input_ids", "attention_mask"], ["last_hidden_state", "pooler_output"]),
    ("xlm-roberta-masked-lm", ["input_ids", "attention_mask"], ["logits"]),
    ("distilbert-sequence-classification", ["input_ids", "attention_mask"], ["logits"]),
    ("gpt2-lm", ["input_ids", "attention_mask"], ["logits"]),
    ("llama-grouped", ["input_ids", "attention_mask"], ["logits"]),
    ("qwen3", ["input_ids", "attention_mask"], ["logits"]),
  ]

  @Test("Inputs and outputs have the names and open axes of optimum's", arguments: interfaces)
  func interface(_ entry: (model: String, inputs: [String], outputs: [String])) throws {
    let graph = try #require(try export(entry.model).model.graph)
    #expect(graph.inputs.map { $0.name?.text } == entry.inputs)
    #expect(graph.outputs.map { $0.name?.text } == entry.outputs)
    for input in graph.inputs {
      #expect(input.type?.tensor?.elementType == ONNXDataType.int64.rawValue)
      let axes = input.type?.tensor?.shape?.dimensions.map { $0.parameter?.text }
      #expect(axes == ["batch_size", "sequence_length"])
    }
    for output in graph.outputs {
      #expect(output.type?.tensor?.elementType == ONNXDataType.float.rawValue)
      #expect(output.type?.tensor?.shape?.dimensions.first?.parameter == "batch_size")
    }
  }

  @Test("Derived inputs can stay inputs")
  func keepsInputs() throws {
    let graph = try #require(try export("gpt2-lm", inputs: ["attention_mask", "position_ids"]).model.graph)
    #expect(graph.inputs.map { $0.name?.text } == ["input_ids", "attention_mask", "position_ids"])
    #expect(!graph.nodes.contains { $0.operatorType == "Range" && $0.name == "position_ids/Range" })
  }

  @Test(
    "The header says which operators and which file format are meant",
    arguments: [(11, 6), (12, 7), (13, 7), (17, 8), (18, 8), (20, 9), (21, 10), (23, 11), (24, 12), (26, 13)])
  func header(_ operatorSet: Int, _ irVersion: Int64) throws {
    let model = try export("bert-plain", operatorSet).model
    #expect(model.irVersion == irVersion)
    #expect(model.operatorSetVersion(domain: "") == Int64(operatorSet))
    #expect(model.operatorSets.count == 1)
    #expect(model.producerName == "pollard")
    #expect(model.producerVersion == "1.2.3")
    #expect(model.metadata["pollard.compaction"] == "{}")
    #expect(model.graph?.name == "BertModel")
    #expect(model.graph?.valueInfo.isEmpty == true)
  }

  @Test("Every value has one provider, and initializers are used", arguments: interfaces.map(\.model))
  func isConsistent(_ name: String) throws {
    let graph = try #require(try export(name).model.graph)
    var seen = Set(graph.inputs.compactMap(\.name))
    for tensor in graph.initializers { #expect(seen.insert(tensor.name ?? "").inserted, "\(tensor.name ?? "")") }
    var used: Set<ByteString> = []
    for node in graph.nodes {
      for input in node.inputs where !input.isEmpty { #expect(seen.contains(input), "\(input)") }
      used.formUnion(node.inputs)
      for output in node.outputs { #expect(seen.insert(output).inserted, "\(output)") }
    }
    #expect(used.isSuperset(of: graph.initializers.compactMap(\.name)))
  }

  @Test("Initializers have the names of the stored tensors; turned matrices say so")
  func names() throws {
    let model = try dense("bert-plain")
    let names = Set(try #require(try export("bert-plain").model.graph).initializers.compactMap { $0.name?.text })
    for binding in model.bindings {
      #expect(names.contains(binding.isTransposed ? "\(binding.tensor).transposed" : binding.tensor))
    }
  }

  @Test("A tied matrix is written once and turned by a node", arguments: ["bert-masked-lm", "gpt2-lm", "llama-tied"])
  func ties(_ name: String) throws {
    let model = try dense(name)
    let tied = try #require(model.bindings.first { !$0.tiedInitializers.isEmpty })
    let export = try export(name)
    let graph = try #require(export.model.graph)
    let turns = graph.nodes.filter { $0.operatorType == "Transpose" && $0.inputs == [ByteString(tied.tensor)] }
    #expect(turns.count == 1)
    let parameters = graph.initializers.filter { tensor in
      model.bindings.contains { tensor.name?.text?.hasPrefix($0.tensor) ?? false }
    }
    let count = parameters.reduce(0) { $0 + $1.dimensions.reduce(1, *) }
    #expect(count == Int64(model.parameterCount))
  }

  @Test(
    "Weights have the type that is asked for, or their own",
    arguments: [(nil, ONNXDataType.bfloat16), (.f32, .float), (.f16, .float16), (.bf16, .bfloat16)]
      as [(ElementType?, ONNXDataType)])
  func types(_ type: ElementType?, _ expected: ONNXDataType) throws {
    let stored = try #require(
      try GoldenCase.all.first { entry in
        guard let path = entry.path("dense") else { return false }
        return try HuggingFaceFolder(at: path).model().bindings.allSatisfy { $0.storedType == .bf16 }
      }, "a golden model in bf16")
    let model = try dense(stored.name)
    let graph = try #require(try export(stored.name, type: type).model.graph)
    for binding in model.bindings {
      let name = ByteString(binding.isTransposed ? "\(binding.tensor).transposed" : binding.tensor)
      #expect(graph.initializers.first { $0.name == name }?.dataType == expected.rawValue, "\(name)")
    }
  }

  @Test(
    "The graph that is written computes what the model's own does", arguments: interfaces.map(\.model), [13, 17, 23])
  func computesTheSame(_ name: String, _ operatorSet: Int) throws {
    let model = try dense(name)
    let entry = try GoldenCase.named(name)
    let stored = try Checkpoint(at: #require(entry.path("inputs")))
    let export = try export(name, operatorSet)
    var given: [String: Tensor] = [:]
    for tensor in stored.tensors where export.graph.inputs.contains(where: { export.graph[$0].name == tensor.name }) {
      given[tensor.name] = try Tensor(reading: stored.weight(tensor))
    }
    if export.graph.inputs.contains(where: { export.graph[$0].name == "token_type_ids" }),
      given["token_type_ids"] == nil
    {
      let ids = try #require(given["input_ids"])
      given["token_type_ids"] = Tensor(integers: ids.integers().map { _ in 0 }, extents: ids.extents)
    }
    let threads = ThreadPool(threadCount: 1)
    let expected = try GraphExecutor(model.graph, threads: threads).run(inputs: given)
    let results = try GraphExecutor(export.graph, threads: threads).run(inputs: given)
    let valid = try #require(given["attention_mask"]).integers()
    for (name, wanted) in expected {
      let (found, reference) = (try #require(results[name]).floats(), wanted.floats())
      let width = wanted.extents.count == 3 ? reference.count / valid.count : reference.count
      let scale = reference.map(abs).max() ?? 0
      for index in reference.indices where width == reference.count || valid[index / width] != 0 {
        #expect(abs(found[index] - reference[index]) <= 1e-5 * scale)
      }
    }
  }

  @Test("What cannot be written is refused")
  func refuses() throws {
    #expect(throws: GraphError.self) { try export("bert-plain", 10) }
    #expect(throws: GraphError.self) { try export("bert-plain", 29) }
    #expect(throws: GraphError.self) { try export("bert-plain", 11, type: .bf16) }
    #expect(throws: GraphError.self) { try export("bert-plain", type: .f64) }
    #expect(try export("bert-plain", 28).notes.contains { $0.contains("up to 26") })
  }
}
