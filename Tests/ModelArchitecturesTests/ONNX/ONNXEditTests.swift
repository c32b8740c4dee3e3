import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Writing changed graphs back into ONNX files")
struct ONNXEditTests {
  static let x = ONNXTestModel.value("x", [ONNXDimension(named: "n"), ONNXDimension(4)])
  static let y = ONNXTestModel.value("y", [ONNXDimension(named: "n"), ONNXDimension(4)])

  /// Two additions whose second bias is another name of the first.
  static func tied() throws -> ImportedONNXModel {
    try ONNXTestModel.imported(
      ONNXTestModel.model(
        ONNXTestModel.graph(
          [
            ONNXNode("Identity", inputs: ["b1"], outputs: ["b2"]),
            ONNXNode("Add", name: "first", inputs: ["x", "b1"], outputs: ["h"]),
            ONNXNode("Add", name: "second", inputs: ["h", "b2"], outputs: ["y"]),
          ], inputs: [x], outputs: [y], initializers: [ONNXTestModel.floats("b1", [4])])))
  }

  @Test("A constant tied by Identity is replaced at one use, and the Identity goes")
  func tiedByIdentity() throws {
    let model = try Self.tied()
    #expect(model.graph.nodes.map(\.name) == ["first", "second"])
    #expect(model.parameterCount == 4)
    var graph = model.graph
    graph.setContent(try model.id("b2"), .floats([9, 9, 9, 9], shape: [4]))
    let written = try #require(try model.exported(graph: graph).graph)
    #expect(written.nodes.map(\.name) == ["first", "second"])
    #expect(written.nodes.allSatisfy { $0.wire.source != nil })
    #expect(written.initializers.map(\.name) == ["b1", "b2"])
    #expect(written.initializers[0].wire.source != nil)
    #expect(try written.initializers[1].weight().floats() == [9, 9, 9, 9])
    #expect(model.parameterCount(of: graph) == 8)
  }

  @Test("When the tensor itself is replaced, its Identity keeps what it was")
  func originalReplaced() throws {
    let model = try Self.tied()
    var graph = model.graph
    graph.setContent(try model.id("b1"), .floats([9, 9, 9, 9], shape: [4]))
    let written = try #require(try model.exported(graph: graph).graph)
    #expect(written.nodes.map(\.operatorType) == ["Identity", "Add", "Add"])
    #expect(written.initializers.map(\.name) == ["b1", "b1_2"])
    #expect(written.nodes[1].inputs == ["x", "b1_2"])
  }

  @Test("Equal new contents are written once")
  func equalContents() throws {
    let model = try Self.tied()
    var graph = model.graph
    for name in ["b1", "b2"] { graph.setContent(try model.id(name), .floats([9, 9, 9, 9], shape: [4])) }
    let written = try #require(try model.exported(graph: graph).graph)
    #expect(written.nodes.map(\.operatorType) == ["Add", "Add"])
    #expect(written.initializers.count == 1)
    #expect(written.nodes.map { $0.inputs[1] } == ["b1", "b1"])
  }

  @Test("Constants behind other constants are folded, and one shape may be replaced at one use")
  func sharedShape() throws {
    let model = try ONNXTestModel.imported(
      ONNXTestModel.model(
        ONNXTestModel.graph(
          [
            ONNXNode(
              "Constant", inputs: [], outputs: ["two"], attributes: [ONNXAttribute("value_int", .integer(2))]),
            ONNXNode(
              "Constant", inputs: [], outputs: ["axes"], attributes: [ONNXAttribute("value_ints", .integers([0]))]),
            ONNXNode("Unsqueeze", inputs: ["two", "axes"], outputs: ["list"]),
            ONNXNode(
              "Concat", inputs: ["zero", "list", "list"], outputs: ["shape"],
              attributes: [ONNXAttribute("axis", .integer(0))]),
            ONNXNode("Reshape", name: "first", inputs: ["x", "shape"], outputs: ["a"]),
            ONNXNode("Reshape", name: "second", inputs: ["x", "shape"], outputs: ["b"]),
            ONNXNode("Add", name: "sum", inputs: ["a", "b"], outputs: ["y"]),
          ], inputs: [Self.x], outputs: [ONNXValueInfo("y", ONNXType(.float, shape: nil))],
          initializers: [ONNXTensor("zero", .integers([0], shape: [1]))])))
    #expect(model.graph.nodes.map(\.name) == ["first", "second", "sum"])
    let shape = try #require(model.graph[try model.id("shape")].initializer)
    #expect(try shape.smallIntegers() == [0, 2, 2])
    #expect(try model.written(model.graph) == model.original())
    var graph = model.graph
    let own = graph.addValue(Value(name: "shape.cut1", initializer: .integers([0, -1, 2], shape: [3])))
    graph.change("second") { $0.inputs[1] = own }
    let written = try #require(try model.exported(graph: graph).graph)
    #expect(written.nodes.count == 7)
    #expect(written.nodes[5].inputs == ["x", "shape.cut1"])
    #expect(written.nodes.enumerated().allSatisfy { $0.offset == 5 || $0.element.wire.source != nil })
    #expect(written.initializers.map(\.name) == ["zero", "shape.cut1"])
    graph.change("first") { $0.inputs[1] = own }
    let last = try #require(try model.exported(graph: graph).graph)
    #expect(last.nodes.map(\.name) == ["first", "second", "sum"])
    #expect(last.initializers.map(\.name) == ["shape.cut1"])
  }

  @Test("What nothing ever used stays")
  func deadFromTheStart() throws {
    let model = try ONNXTestModel.imported(
      ONNXTestModel.model(
        ONNXTestModel.graph(
          [
            ONNXNode("Identity", inputs: ["unused"], outputs: ["alsoUnused"]),
            ONNXNode("Add", name: "add", inputs: ["x", "b"], outputs: ["y"]),
          ], inputs: [Self.x], outputs: [Self.y],
          initializers: [ONNXTestModel.floats("unused", [3]), ONNXTestModel.floats("b", [4])])))
    var graph = model.graph
    graph.setContent(try model.id("b"), .floats([1, 1, 1, 1], shape: [4]))
    let written = try #require(try model.exported(graph: graph).graph)
    #expect(written.nodes.count == 2)
    #expect(written.initializers.map(\.name) == ["unused", "b"])
  }

  @Test("Types of changed values follow; others keep their bytes")
  func types() throws {
    var message = ONNXTestModel.graph(
      [
        ONNXNode("MatMul", name: "m", inputs: ["x", "W"], outputs: ["h"]),
        ONNXNode("Relu", name: "r", inputs: ["h"], outputs: ["y"]),
        ONNXNode("Neg", name: "n", inputs: ["x"], outputs: ["z"]),
      ], inputs: [Self.x], outputs: [Self.y, Self.x], initializers: [ONNXTestModel.floats("W", [4, 4])])
    message.outputs[1].name = "z"
    message.valueInfo = [
      ONNXTestModel.value("h", [ONNXDimension(named: "n"), ONNXDimension(4)]),
      ONNXTestModel.value("W", [ONNXDimension(4), ONNXDimension(4)]),
    ]
    let model = try ONNXTestModel.imported(ONNXTestModel.model(message))
    var graph = model.graph
    let id = try model.id("W")
    let weight = try #require(graph[id].initializer)
    graph.setContent(id, weight.keeping([0, 2], axis: 1))
    _ = try ShapeInference.inferAll(&graph)
    let written = try #require(try model.exported(graph: graph, metadata: ["key": "1"]).graph)
    func extents(_ value: ONNXValueInfo) -> [Int64?] { value.type?.tensor?.shape?.dimensions.map(\.value) ?? [] }
    #expect(extents(written.outputs[0]) == [nil, 2])
    #expect(written.outputs[0].type?.tensor?.shape?.dimensions[0].parameter == "n")
    #expect(written.outputs[1].wire.source != nil)
    #expect(written.valueInfo.map { extents($0) } == [[nil, 2], [4, 2]])
    #expect(written.initializers[0].dimensions == [4, 2])
    #expect(try written.initializers[0].weight().floats() == [0, 2, 4, 6, 8, 10, 12, 14])
  }

  @Test("Entries of the metadata are added, then replaced")
  func metadata() throws {
    let model = try Self.tied()
    let once = try model.exported(graph: model.graph, metadata: ["pollard.compaction": "{}"])
    #expect(once.metadata.map(\.key) == ["pollard.compaction"])
    #expect(once.graph?.wire.source != nil)
    let again = try ONNXTestModel.imported(once)
    #expect(again.metadata == ["pollard.compaction": "{}"])
    let twice = try again.exported(graph: again.graph, metadata: ["pollard.compaction": "[]"])
    #expect(twice.metadata.map(\.value) == ["[]"])
  }

  @Test("New nodes stand before the node they were made for; changed attributes replace old ones")
  func newNodes() throws {
    let model = try Self.tied()
    var graph = model.graph
    let output = graph.addValue(Value(name: "h"))
    var nodes = graph.nodes
    graph[output].name = "added"
    nodes[1].inputs[0] = output
    nodes[1].attributes["axis"] = .integer(3)
    nodes.insert(
      Node(
        OperatorName("Relu"), name: "made", inputs: [try model.id("h")], outputs: [output], attributes: [:], version: 17
      ),
      at: 1)
    graph.replaceNodes(nodes)
    let written = try #require(try model.exported(graph: graph).graph)
    #expect(written.nodes.map(\.operatorType) == ["Identity", "Add", "Relu", "Add"])
    #expect(written.nodes[2].outputs == ["added"])
    #expect(written.nodes[3].inputs == ["added", "b2"])
    #expect(written.nodes[3][attribute: "axis"]?.integer == 3)
  }

  // MARK: Functions

  /// A model that calls `scale(x) = x * factor` twice, the factor being an attribute with a default.
  static func calling(version: Int64 = 17) -> ONNXModel {
    var function = ONNXFunction()
    function.domain = "local"
    function.name = "scale"
    function.inputs = ["v"]
    function.outputs = ["w"]
    function.attributeDefaults = [ONNXAttribute("factor", .float(2))]
    var reference = ONNXAttribute()
    reference.name = "value_float"
    reference.type = ONNXAttribute.Kind.float.rawValue
    reference.referenceName = "factor"
    function.nodes = [
      ONNXNode("Constant", inputs: [], outputs: ["f"], attributes: [reference]),
      ONNXNode("Mul", name: "times", inputs: ["v", "f"], outputs: ["w"]),
    ]
    function.operatorSets = [ONNXOperatorSet(domain: "", version: version)]
    return ONNXTestModel.model(
      ONNXTestModel.graph(
        [
          ONNXNode("scale", domain: "local", name: "one", inputs: ["x"], outputs: ["h"]),
          ONNXNode(
            "scale", domain: "local", name: "two", inputs: ["h"], outputs: ["y"],
            attributes: [ONNXAttribute("factor", .float(3))]),
        ], inputs: [x], outputs: [y]), imports: [("", 17), ("local", 1)], functions: [function])
  }

  @Test("Calls of functions become the functions' nodes")
  func functions() throws {
    let model = try ONNXTestModel.imported(Self.calling())
    #expect(model.graph.nodes.map(\.name) == ["one/times", "two/times"])
    let factors = try model.graph.nodes.map { node in
      try model.graph[try #require(node.input(1))].initializer?.floats()
    }
    #expect(factors == [[2], [3]])
    #expect(model.notes.count == 1)
    #expect(try model.written(model.graph) == model.original())
    var graph = model.graph
    graph.setContent(try #require(graph.nodes[1].input(1)), .floats([4], shape: []))
    let written = try model.exported(graph: graph)
    #expect(written.functions.isEmpty)
    #expect(written.graph?.nodes.map(\.operatorType) == ["Constant", "Mul", "Constant", "Mul"])
  }

  @Test("A function of another operator set is read by it, and cannot be written inline")
  func functionVersions() throws {
    let model = try ONNXTestModel.imported(Self.calling(version: 13))
    #expect(model.graph.nodes.map(\.version) == [13, 13])
    #expect(try model.written(model.graph) == model.original())
    var graph = model.graph
    graph.setContent(try #require(graph.nodes[1].input(1)), .floats([4], shape: []))
    #expect { try model.exported(graph: graph) } throws: { ($0 as? FormatError)?.code == .cannotWriteBack }
  }

  @Test("Functions that double at every level are refused before they fill the memory")
  func doublingFunctions() throws {
    var functions: [ONNXFunction] = []
    for level in 0..<40 {
      var function = ONNXFunction()
      function.domain = "local"
      function.name = ByteString("f\(level)")
      function.inputs = ["v"]
      function.outputs = ["w"]
      let callee = level == 0 ? ONNXNode("Neg", inputs: ["v"], outputs: ["u"]) : call(level - 1, "v", "u")
      let second = level == 0 ? ONNXNode("Neg", inputs: ["u"], outputs: ["w"]) : call(level - 1, "u", "w")
      function.nodes = [callee, second]
      function.operatorSets = [ONNXOperatorSet(domain: "", version: 17), ONNXOperatorSet(domain: "local", version: 1)]
      functions.append(function)
    }
    let model = ONNXTestModel.model(
      ONNXTestModel.graph([call(39, "x", "y")], inputs: [Self.x], outputs: [Self.y]),
      imports: [("", 17), ("local", 1)], functions: functions)
    #expect { try ONNXTestModel.imported(model) } throws: { ($0 as? FormatError)?.code == .tooManyRecords }
  }

  private func call(_ level: Int, _ input: ByteString, _ output: ByteString) -> ONNXNode {
    ONNXNode(ByteString("f\(level)"), domain: "local", inputs: [input], outputs: [output])
  }
}
