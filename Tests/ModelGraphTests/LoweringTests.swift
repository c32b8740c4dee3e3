import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// What `tools/make-operator-forms` found out about one version of an operator.
private struct OperatorForm {
  var since: Int
  var inputs: ClosedRange<Int>
  var outputs: ClosedRange<Int>
  var attributes: Set<String>

  static let all: [String: [OperatorForm]] = {
    let folder = Paths.parent(Paths.parent(Paths.parent(#filePath)))
    guard let source = try? FileSource(path: Paths.join(folder, "formats/onnx-operators.json")),
      let json = try? JSONValue(parsing: source.bytes(0..<source.size))
    else { return [:] }
    var result: [String: [OperatorForm]] = [:]
    for member in json.objectValue?.members ?? [] {
      result[member.key] = member.value.arrayValue?.compactMap { entry in
        func range(_ key: String) -> ClosedRange<Int>? {
          let ends = entry[key]?.arrayValue?.compactMap(\.intValue) ?? []
          return ends.count == 2 ? ends[0]...ends[1] : nil
        }
        guard let since = entry["since"]?.intValue, let inputs = range("inputs"), let outputs = range("outputs") else {
          return nil
        }
        return OperatorForm(
          since: since, inputs: inputs, outputs: outputs,
          attributes: Set(entry["attributes"]?.objectValue?.keys ?? []))
      }
    }
    return result
  }()

  static func form(_ op: String, _ operatorSet: Int) -> OperatorForm? { all[op]?.last { $0.since <= operatorSet } }
}

/// A graph with one node for each thing that changed between operator sets, as architectures write them.
private func sample() throws -> Graph {
  var builder = GraphBuilder(name: "sample")
  let (batch, sequence) = (Size.symbol("batch"), Size.symbol("sequence"))
  let ids = builder.input("input_ids", ValueType(.i64, [batch, sequence]))
  let mask = builder.input("attention_mask", ValueType(.i64, [batch, sequence]), derivedBy: .ones)
  let positions = builder.input("position_ids", ValueType(.i64, [batch, sequence]), derivedBy: .ascending)
  let types = builder.input("token_type_ids", ValueType(.i64, [batch, sequence]), derivedBy: .zeros)
  func table(_ name: String, _ shape: Shape) -> ValueID {
    builder.initializer(name, .zeros(type: .f32, shape: shape))
  }
  var x = try builder.add("Gather", [table("words", [9, 8]), ids])
  x = try builder.add("Add", [x, builder.add("Gather", [table("types", [2, 8]), types])])
  let ones = table("scale", [8])
  x = try builder.add("LayerNormalization", [x, ones, ones], ["epsilon": .float(1e-5)])
  x = try builder.add("RMSNormalization", [x, ones])
  let keys = try builder.add(
    "Unsqueeze", [builder.add("Cast", [mask], ["to": .onnxType(.bool)]), builder.integers([1, 2])])
  let angles = try builder.add(
    "Mul",
    [
      builder.add("Unsqueeze", [builder.add("Cast", [positions], ["to": .onnxType(.f32)]), builder.integers([2])]),
      table("frequencies", [2]),
    ])
  let (cosines, sines) = (try builder.add("Cos", [angles]), try builder.add("Sin", [angles]))
  for layer in 0..<2 {
    builder.scope = "layers.\(layer)"
    func heads(_ count: Int) throws -> ValueID {
      let projected = try builder.add("MatMul", [x, table("w\(layer).\(builder.graph.values.count)", [8, 4 * count])])
      let split = try builder.add("Reshape", [projected, builder.integers([0, 0, count, 4])])
      return try builder.add("Transpose", [split], ["perm": .integers([0, 2, 1, 3])])
    }
    let query = try builder.add("RotaryEmbedding", [heads(2), cosines, sines])
    let key = try builder.add("RotaryEmbedding", [heads(1), cosines, sines])
    let y = try builder.add(
      "Attention", [query, key, heads(1), keys], ["scale": .float(0.5), "is_causal": .integer(1)])
    x = try builder.add(
      "Reshape", [builder.add("Transpose", [y], ["perm": .integers([0, 2, 1, 3])]), builder.integers([0, 0, 8])])
  }
  builder.scope = ""
  for (op, attributes) in [
    ("Gelu", [:]), ("Gelu", ["approximate": .string("tanh")]), ("Swish", [:]), ("Swish", ["alpha": .float(1.702)]),
    ("Mish", [:]), ("Softmax", ["axis": .integer(-1)]),
  ] as [(String, [String: Attribute])] {
    x = try builder.add(op, [x], attributes)
  }
  let extent = try builder.add("Shape", [ids], ["start": .integer(1), "end": .integer(2)])
  builder.output("length", try builder.add("Squeeze", [extent, builder.integers([0])]))
  builder.output("largest", try builder.add("ReduceMax", [x, builder.integers([2])], ["keepdims": .integer(0)]))
  let parts = try builder.add("Split", [x, builder.integers([3, 5])], ["axis": .integer(2)], outputs: 2)
  builder.output("first", parts[0])
  builder.output("second", parts[1])
  let halves = try builder.add("Split", [x], ["axis": .integer(2), "num_outputs": .integer(2)], outputs: 2)
  builder.output("left", halves[0])
  builder.output("compared", try builder.add("LessOrEqual", [halves[1], builder.scalar(0)]))
  return builder.graph
}

@Suite("Lowering to older operator sets")
struct LoweringTests {
  @Test("Every node has an operator, operands, results and attributes of its operator set", arguments: 11...28)
  func fitsTheSchemas(_ operatorSet: Int) throws {
    let lowered = try sample().computingDerivedInputs(keeping: ["attention_mask"]).lowered(to: operatorSet)
    for node in lowered.nodes {
      let form = try #require(OperatorForm.form(node.op.name, operatorSet), "\(node.op)")
      #expect(node.version == operatorSet)
      #expect(form.inputs.contains(node.inputs.count), "\(node.op): \(node.inputs.count) operands")
      #expect(form.outputs.contains(node.outputs.count), "\(node.op)")
      #expect(form.attributes.isSuperset(of: node.attributes.keys), "\(node.op): \(node.attributes.keys)")
    }
  }

  @Test("The rules of graphs hold afterwards", arguments: [11, 13, 17, 18, 20, 23, 28])
  func isWellFormed(_ operatorSet: Int) throws { try sample().lowered(to: operatorSet).validate() }

  @Test("Inputs, outputs, their names and their types stay", arguments: [11, 17, 28])
  func keepsTheInterface(_ operatorSet: Int) throws {
    let graph = try sample()
    let lowered = try graph.lowered(to: operatorSet)
    #expect(lowered.inputs == graph.inputs)
    #expect(lowered.outputs == graph.outputs)
    for (index, value) in graph.values.enumerated() {
      #expect(lowered.values[index].name == value.name)
      #expect(lowered.values[index].type == value.type)
    }
  }

  @Test("must not fire: nodes that an operator set has stay as they are")
  func keepsNewest() throws {
    let graph = try sample()
    let lowered = try graph.lowered(to: Node.currentVersion)
    #expect(lowered.nodes.map(\.op) == graph.nodes.map(\.op))
    #expect(lowered.values.count == graph.values.count)
  }

  @Test("Operators that a runtime lacks are decomposed in every operator set")
  func decomposesMissing() throws {
    let lowered = try sample().lowered(to: 26, without: ["Swish"])
    #expect(!lowered.nodes.contains { $0.op.name == "Swish" })
    #expect(lowered.nodes.contains { $0.op.name == "Attention" })
  }

  @Test("Masks, causal ranges and angles are made once for all layers")
  func sharesWhatLayersShare() throws {
    let lowered = try sample().lowered(to: 17)
    #expect(lowered.nodes.count { $0.op.name == "Where" } == 1)
    #expect(lowered.nodes.count { $0.op.name == "Less" } == 1)
    #expect(lowered.nodes.count { $0.name.hasPrefix("rotary_angles/Unsqueeze") } == 2)
  }

  @Test("A change of an operator's form between two versions has a rule", arguments: OperatorForm.all.keys.sorted())
  func everyChangeHasARule(_ op: String) throws {
    guard OperatorRegistry.knows(OperatorName(op)) else { return }
    let forms = OperatorForm.all[op] ?? []
    for (older, newer) in zip(forms, forms.dropFirst()) where newer.since > Graph.oldestOperatorSet {
      // Only what a newer form may have and an older one may not needs a rule.
      let added = newer.attributes.subtracting(older.attributes)
      guard newer.inputs.upperBound > older.inputs.upperBound || !added.isEmpty else { continue }
      let isKnown = Graph.loweringVersions(of: op).contains { $0 <= newer.since && $0 > older.since }
      #expect(isKnown, "\(op) \(newer.since): \(added)")
    }
  }

  @Test("An operator that cannot be written is refused by the node's name")
  func refuses() throws {
    var builder = GraphBuilder(name: "refused")
    let x = builder.input("x", ValueType(.f32, [2, 3]))
    builder.output("y", try builder.add("Softmax", [x], ["axis": .integer(0)], name: "across"))
    #expect(throws: Never.self) { try builder.graph.lowered(to: 13) }
    let error = #expect(throws: GraphError.self) { try builder.graph.lowered(to: 12) }
    #expect(error?.code == .unsupported)
    #expect(error?.subject == .node("across"))
    #expect(throws: GraphError.self) { try builder.graph.lowered(to: 10) }
    #expect(throws: GraphError.self) { try builder.graph.lowered(to: 29) }
  }

  @Test("Derived inputs are computed from the sizes of the first other input")
  func computesDerivedInputs() throws {
    let graph = try sample().computingDerivedInputs(keeping: ["attention_mask"])
    #expect(graph.inputs.map { graph[$0].name } == ["input_ids", "attention_mask"])
    #expect(graph.derivedInputs.isEmpty)
    let positions = try #require(graph.value(named: "position_ids"))
    #expect(graph[positions].type == ValueType(.i64, [.symbol("batch"), .symbol("sequence")]))
    try graph.validate()
  }

  @Test("Masks get a row for each query, once for all layers")
  func expandsMasks() throws {
    let graph = try sample().expandingAttentionMasks()
    #expect(graph.nodes.count { $0.op.name == "Expand" } == 1)
    for node in graph.nodes where node.op.name == "Attention" {
      let mask = try #require(node.input(3))
      #expect(graph[mask].type == ValueType(.bool, [.symbol("batch"), 1, .symbol("sequence"), .symbol("sequence")]))
    }
    try graph.validate()
    #expect(try graph.expandingAttentionMasks().nodes.count == graph.nodes.count)
  }
}
