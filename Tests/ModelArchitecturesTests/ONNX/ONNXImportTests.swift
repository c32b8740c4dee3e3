import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Importing ONNX files")
struct ONNXImportTests {
  static let files: [String] = {
    let root = Paths.join(golden, "onnx")
    let folders = (try? Directories.names(in: root)) ?? []
    return folders.sorted().map { "\(root)/\($0)/masked.onnx" }.filter { Directories.kind(of: $0) == .file }
  }()

  @Test("A model that nothing changed is written byte for byte", arguments: files)
  func unchanged(path: String) throws {
    let model = try ImportedONNXModel(path: path)
    #expect(model.graph.nodes.count > 0)
    #expect(try model.written(model.graph) == model.original())
    try model.graph.validateStructure()
  }

  @Test("There are models to read")
  func someFiles() { #expect(Self.files.count >= 20) }

  @Test("Layers are told by the places of nodes in both exporters", arguments: ["bert-ts17-eager", "bert-te18-sdpa"])
  func scopes(name: String) throws {
    let model = try ImportedONNXModel(path: "\(golden)/onnx/\(name)/masked.onnx")
    let scopes = Set(model.graph.nodes.map(\.scope))
    for layer in 0..<3 {
      #expect(scopes.contains { $0.hasSuffix("encoder.layer.\(layer).attention.self.query") })
    }
  }

  @Test("Inputs are named sizes; those of transformers are filled when left out")
  func inputs() throws {
    let model = try ImportedONNXModel(path: "\(golden)/onnx/bert-ts17-eager/masked.onnx")
    let mask = try model.id("attention_mask")
    #expect(model.graph.derivedInputs[mask] == .ones)
    let ids = try model.id("input_ids")
    #expect(model.graph[mask].type?.shape == model.graph[ids].type?.shape)
    #expect(model.graph[ids].type?.shape?.count == 2)
  }

  @Test("Branches become regions of one list of nodes")
  func branches() throws {
    let model = try ImportedONNXModel(path: "\(golden)/onnx/t5-optimum14-decoder-merged/masked.onnx")
    #expect(model.graph.regions.map(\.runsWhen) == [true, false])
    let conditional = try #require(model.graph.nodes.last)
    #expect(conditional.op == OperatorName("If"))
    #expect(conditional.inputs.count == 1 + 2 * conditional.outputs.count)
    #expect(Set(model.graph.nodes.map(\.region)) == [nil, 0, 1])
  }

  @Test("Outputs keep their names where branches use the same")
  func outputNames() throws {
    let model = try ImportedONNXModel(path: "\(golden)/onnx/t5-optimum14-decoder-merged/masked.onnx")
    #expect(
      model.graph.outputs.map { ByteString(model.graph[$0].name) } == model.file.graph.outputs.map { $0.name ?? "" })
  }

  static func conditional() -> ONNXModel {
    let inner = ONNXTestModel.graph(
      [ONNXNode("Add", name: "inner", inputs: ["x", "W"], outputs: ["t"])],
      outputs: [ONNXTestModel.value("t", [])])
    let then = ONNXTestModel.graph(
      [
        ONNXNode("Constant", inputs: [], outputs: ["c"], attributes: [ONNXAttribute("value_floats", .floats([1, 2]))]),
        ONNXNode("Mul", name: "mul", inputs: ["x", "c"], outputs: ["m"]),
        ONNXNode(
          "If", name: "nested", inputs: ["flag"], outputs: ["n"],
          attributes: [ONNXAttribute("then_branch", .graph(inner)), ONNXAttribute("else_branch", .graph(inner))]),
        ONNXNode("Add", name: "sum", inputs: ["m", "n"], outputs: ["r"]),
      ], outputs: [ONNXTestModel.value("r", [])])
    let otherwise = ONNXTestModel.graph(
      [ONNXNode("Sub", name: "sub", inputs: ["x", "b"], outputs: ["r"])],
      outputs: [ONNXTestModel.value("r", [])], initializers: [ONNXTestModel.floats("b", [2])])
    return ONNXTestModel.model(
      ONNXTestModel.graph(
        [
          ONNXNode(
            "If", name: "choose", inputs: ["flag"], outputs: ["y"],
            attributes: [ONNXAttribute("then_branch", .graph(then)), ONNXAttribute("else_branch", .graph(otherwise))])
        ],
        inputs: [ONNXTestModel.value("x", [ONNXDimension(2)]), ONNXTestModel.value("flag", [], of: .bool)],
        outputs: [ONNXTestModel.value("y", [ONNXDimension(2)])], initializers: [ONNXTestModel.floats("W", [2])]))
  }

  @Test("Conditionals inside conditionals see outer values and keep their own constants")
  func nestedConditionals() throws {
    let model = try ONNXTestModel.imported(Self.conditional())
    #expect(model.graph.regions.map(\.parent) == [nil, 0, 0, nil])
    #expect(model.graph.nodes.map(\.op.name) == ["Mul", "Add", "Add", "If", "Add", "Sub", "If"])
    #expect(model.graph.nodes.map(\.region) == [0, 1, 2, 0, 0, 3, nil])
    #expect(try model.written(model.graph) == model.original())
  }

  @Test("A changed constant of a branch stays in its branch, in its form")
  func changedBranch() throws {
    let model = try ONNXTestModel.imported(Self.conditional())
    var graph = model.graph
    graph.setContent(try model.id("c"), .floats([5, 6], shape: [2]))
    graph.setContent(try model.id("b"), .floats([7, 8], shape: [2]))
    let written = try #require(try model.exported(graph: graph).graph?.nodes.first)
    let then = try #require(written[attribute: "then_branch"]?.graph)
    #expect(then.nodes.map(\.operatorType) == ["Constant", "Mul", "If", "Add"])
    #expect(try then.nodes[0][attribute: "value"]?.tensor?.weight().floats() == [5, 6])
    #expect(then.nodes[2].wire.source != nil)
    let otherwise = try #require(written[attribute: "else_branch"]?.graph)
    #expect(try otherwise.initializers[0].weight().floats() == [7, 8])
  }

  @Test("A loop is one node whose operands include what its body uses")
  func loop() throws {
    let body = ONNXTestModel.graph(
      [
        ONNXNode("Add", inputs: ["state", "W"], outputs: ["next"]),
        ONNXNode("Identity", inputs: ["go"], outputs: ["goOn"]),
      ],
      inputs: [
        ONNXTestModel.value("i", [], of: .int64), ONNXTestModel.value("go", [], of: .bool),
        ONNXTestModel.value("state", []),
      ],
      outputs: [ONNXTestModel.value("goOn", [], of: .bool), ONNXTestModel.value("next", [])])
    let model = try ONNXTestModel.imported(
      ONNXTestModel.model(
        ONNXTestModel.graph(
          [
            ONNXNode(
              "Loop", name: "loop", inputs: ["count", "", "x"], outputs: ["y"],
              attributes: [ONNXAttribute("body", .graph(body))])
          ],
          inputs: [ONNXTestModel.value("x", [ONNXDimension(2)]), ONNXTestModel.value("count", [], of: .int64)],
          outputs: [ONNXTestModel.value("y", [ONNXDimension(2)])], initializers: [ONNXTestModel.floats("W", [2])])))
    let node = try #require(model.graph.nodes.first)
    #expect(node.inputs == [try model.id("count"), nil, try model.id("x"), try model.id("W")])
    #expect(try model.written(model.graph) == model.original())
    var graph = model.graph
    graph.setContent(try model.id("W"), .floats([5, 6], shape: [2]))
    #expect(throws: FormatError.self) { try model.exported(graph: graph) }
  }

  @Test("An initializer that is an input is a default from IR 4 on, and a constant before")
  func inputsThatAreInitializers() throws {
    let graph = ONNXTestModel.graph(
      [ONNXNode("Add", name: "add", inputs: ["x", "b"], outputs: ["y"])],
      inputs: [ONNXTestModel.value("x", [ONNXDimension(2)]), ONNXTestModel.value("b", [ONNXDimension(2)])],
      outputs: [ONNXTestModel.value("y", [ONNXDimension(2)])], initializers: [ONNXTestModel.floats("b", [2])])
    let new = try ONNXTestModel.imported(ONNXTestModel.model(graph, irVersion: 4))
    #expect(new.graph.inputs.count == 2)
    guard case .content(let weight)? = new.graph.derivedInputs[try new.id("b")] else {
      Issue.record("the input has no content of its own")
      return
    }
    #expect(try weight.floats() == [0, 1])

    let old = try ONNXTestModel.imported(ONNXTestModel.model(graph, irVersion: 3, imports: [("", 7)]))
    #expect(old.graph.inputs.count == 1)
    var changed = old.graph
    changed.setContent(try old.id("b"), .floats([9], shape: [1]))
    let written = try #require(try old.exported(graph: changed).graph)
    #expect(written.inputs.map(\.name) == ["x", "b"])
    #expect(written.inputs[1].type?.tensor?.shape?.dimensions.map(\.value) == [1])
    #expect(written.inputs[0].wire.source != nil)
  }

  @Test("Strings and sparse constants are nodes without operands")
  func constantsWithoutWeights() throws {
    var strings = ONNXTensor()
    strings.name = "s"
    strings.dataType = ONNXDataType.string.rawValue
    strings.dimensions = [2]
    strings.stringData = ["a", "b"]
    var sparse = ONNXSparseTensor()
    sparse.values = ONNXTestModel.floats("p", [1])
    sparse.indices = ONNXTensor(nil, .integers([1], shape: [1]))
    sparse.dimensions = [2]
    var graph = ONNXTestModel.graph(
      [
        ONNXNode("Identity", name: "a", inputs: ["s"], outputs: ["y"]),
        ONNXNode("Identity", name: "b", inputs: ["p"], outputs: ["z"]),
      ],
      outputs: [
        ONNXTestModel.value("y", [ONNXDimension(2)], of: .string), ONNXTestModel.value("z", [ONNXDimension(2)]),
      ],
      initializers: [strings])
    graph.sparseInitializers = [sparse]
    let model = try ONNXTestModel.imported(ONNXTestModel.model(graph))
    #expect(model.graph.nodes.map(\.op.name) == ["Constant", "Constant", "Identity", "Identity"])
    #expect(try model.written(model.graph) == model.original())
  }

  @Test("Names that differ in their bytes alone are different values")
  func equivalentNames() throws {
    let composed = ByteString([0xC3, 0xA9])
    let decomposed = ByteString([0x65, 0xCC, 0x81])
    let invalid = ByteString([0xFF])
    let model = try ONNXTestModel.imported(
      ONNXTestModel.model(
        ONNXTestModel.graph(
          [
            ONNXNode("Neg", inputs: [composed], outputs: [decomposed]),
            ONNXNode("Abs", inputs: [decomposed], outputs: [invalid]),
          ], inputs: [ONNXTestModel.value(composed, [ONNXDimension(2)])],
          outputs: [ONNXTestModel.value(invalid, [ONNXDimension(2)])])))
    #expect(Set(model.graph.values.map(\.name)).count == 3)
    var graph = model.graph
    graph.change("Abs") { $0.attributes["note"] = .integer(1) }
    #expect(try model.exported(graph: graph).graph?.nodes[1].inputs == [decomposed])
  }

  @Test("What cannot be read is refused by name")
  func refusals() throws {
    var sequence = ONNXValueInfo("list", nil)
    var type = ONNXType()
    var element = ONNXElementType()
    element.element = ONNXType(.float, shape: nil)
    type.sequence = element
    sequence.type = type
    func model() -> ONNXModel {
      ONNXTestModel.model(
        ONNXTestModel.graph(
          [ONNXNode("SequenceLength", inputs: ["list"], outputs: ["y"])], inputs: [sequence],
          outputs: [ONNXTestModel.value("y", [], of: .int64)]))
    }
    #expect(try ONNXTestModel.imported(model()).graph.inputs.count == 1)
    // A sequence of sequences.
    element.element = type
    sequence.type?.sequence = element
    #expect { try ONNXTestModel.imported(model()) } throws: { error in
      guard let error = error as? FormatError else { return false }
      return error.code == .unsupportedValueType && error.subject == .value("list")
    }
    let branch = ONNXTestModel.graph(
      [ONNXNode("Neg", inputs: ["x"], outputs: ["r"])], outputs: [ONNXTestModel.value("r", [])])
    var longer = branch
    longer.nodes.append(ONNXNode("Abs", inputs: ["x"], outputs: ["q"]))
    longer.outputs.append(ONNXTestModel.value("q", []))
    let uneven = ONNXTestModel.model(
      ONNXTestModel.graph(
        [
          ONNXNode(
            "If", name: "choose", inputs: ["flag"], outputs: ["y"],
            attributes: [ONNXAttribute("then_branch", .graph(branch)), ONNXAttribute("else_branch", .graph(longer))])
        ], inputs: [ONNXTestModel.value("x", [ONNXDimension(2)]), ONNXTestModel.value("flag", [], of: .bool)],
        outputs: [ONNXTestModel.value("y", [ONNXDimension(2)])]))
    #expect { try ONNXTestModel.imported(uneven) } throws: { error in
      (error as? FormatError)?.code == .callMismatch && (error as? FormatError)?.subject == .node("choose")
    }
  }
}
