import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

private let add = ONNXNode("Add", inputs: ["x", "x"], outputs: ["y"])

/// A model that breaks one rule.
struct BrokenModel: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let code: String
  let model: ONNXModel

  init(_ about: String, _ code: String, _ model: ONNXModel) {
    (testDescription, self.code, self.model) = (about, code, model)
  }

  init(_ about: String, _ code: String, _ graph: ONNXGraph) { self.init(about, code, onnxModel(graph)) }

  private static func changed(_ change: (inout ONNXModel) -> Void) -> ONNXModel {
    var model = onnxModel(onnxGraph([add]))
    change(&model)
    return model
  }

  private static func branch(_ nodes: [ONNXNode], outputs: [ByteString] = ["b"]) -> ONNXNode {
    let graph = onnxGraph(inputs: [], nodes, outputs: outputs)
    return ONNXNode(
      "If", inputs: ["x"], outputs: ["y"],
      attributes: [ONNXAttribute("then_branch", .graph(graph)), ONNXAttribute("else_branch", .graph(graph))])
  }

  static func function(_ name: ByteString, calls: [ByteString], outputs: [ByteString] = ["z"]) -> ONNXFunction {
    var function = ONNXFunction()
    function.name = name
    function.domain = "local"
    function.inputs = ["x"]
    function.outputs = outputs
    function.operatorSets = [ONNXOperatorSet(domain: "local", version: 1), ONNXOperatorSet(domain: "", version: 21)]
    function.nodes = [ONNXNode("Identity", inputs: ["x"], outputs: ["z"])]
    for (index, name) in calls.enumerated() {
      function.nodes.append(ONNXNode(name, domain: "local", inputs: ["x"], outputs: [ByteString("v\(index)")]))
    }
    return function
  }

  static let all: [Self] = [
    Self("no graph", "notONNX", changed { $0.graph = nil }),
    Self("no ir_version", "notONNX", changed { $0.irVersion = nil }),
    Self("an ir_version of zero", "notONNX", changed { $0.irVersion = 0 }),
    Self("an ir_version of the future", "unsupportedIRVersion", changed { $0.irVersion = 15 }),
    Self("no operator set", "operatorSetMissing", changed { $0.operatorSets = [] }),
    Self(
      "an operator of a domain that is not imported", "operatorSetMissing",
      changed { $0.graph?.nodes[0].domain = "com.microsoft" }),
    Self("a node without an operator", "graphMalformed", changed { $0.graph?.nodes[0].operatorType = nil }),
    Self(
      "an attribute twice", "graphMalformed",
      changed {
        $0.graph?.nodes[0].attributes = [ONNXAttribute("a", .integer(1)), ONNXAttribute("a", .integer(2))]
      }),
    Self("an undefined input", "undefinedValue", onnxGraph(inputs: [], [add])),
    Self("an undefined graph output", "undefinedValue", onnxGraph([add], outputs: ["q"])),
    Self("a value made twice", "duplicateValue", onnxGraph([add, add])),
    Self("an input twice", "duplicateValue", onnxGraph(inputs: ["x", "x"], [add])),
    Self("an input without a name", "graphMalformed", onnxGraph(inputs: ["x", ""], [add])),
    Self(
      "a node that makes an input", "duplicateValue",
      onnxGraph(inputs: ["x", "y"], [add])),
    Self(
      "an initializer twice", "duplicateValue",
      onnxGraph([add], initializers: Array(repeating: ONNXTensor("w", .floats([1], shape: [1])), count: 2))),
    Self(
      "an initializer without a name", "graphMalformed",
      onnxGraph([add], initializers: [ONNXTensor(nil, .floats([1], shape: [1]))])),
    Self(
      "a node that makes an initializer", "duplicateValue",
      onnxGraph([add], initializers: [ONNXTensor("y", .floats([1], shape: [1]))])),
    Self(
      "nodes in the wrong order", "nodesOutOfOrder",
      onnxGraph([ONNXNode("Neg", inputs: ["a"], outputs: ["y"]), ONNXNode("Neg", inputs: ["x"], outputs: ["a"])])),
    Self(
      "a node that needs itself", "cyclicNodes", onnxGraph([ONNXNode("Add", inputs: ["x", "y"], outputs: ["y"])])),
    Self(
      "nodes in a circle", "cyclicNodes",
      onnxGraph([ONNXNode("Add", inputs: ["x", "a"], outputs: ["y"]), ONNXNode("Neg", inputs: ["y"], outputs: ["a"])])),
    Self(
      "a circle through a branch", "cyclicNodes",
      onnxGraph([
        branch([ONNXNode("Neg", inputs: ["a"], outputs: ["b"])]), ONNXNode("Neg", inputs: ["y"], outputs: ["a"]),
      ])),
    Self(
      "a branch that defines a value of the graph around it", "duplicateValue",
      onnxGraph([branch([ONNXNode("Neg", inputs: ["x"], outputs: ["x"])], outputs: ["x"])])),
    Self(
      "a branch whose output is a value of the graph around it", "undefinedValue",
      onnxGraph([branch([], outputs: ["x"])])),
    Self(
      "a value of a branch used outside", "undefinedValue",
      onnxGraph(
        [branch([ONNXNode("Neg", inputs: ["x"], outputs: ["b"])]), ONNXNode("Neg", inputs: ["b"], outputs: ["c"])])),
    Self(
      "a function twice", "duplicateFunction",
      changed { $0.functions = Array(repeating: function("f", calls: []), count: 2) }),
    Self("a function that calls itself", "functionRecursion", changed { $0.functions = [function("f", calls: ["f"])] }),
    Self(
      "functions that call each other", "functionRecursion",
      changed { $0.functions = [function("f", calls: ["g"]), function("g", calls: ["f"])] }),
    Self(
      "a hundred and one calls in a row", "functionRecursion",
      changed { model in
        model.functions = (0...100).map {
          function(ByteString("f\($0)"), calls: $0 < 100 ? [ByteString("f\($0 + 1)")] : [])
        }
      }),
    Self(
      "a function's undefined output", "undefinedValue",
      changed { $0.functions = [function("f", calls: [], outputs: ["q"])] }),
    Self(
      "a function that uses the graph's values", "undefinedValue",
      changed {
        var outsider = function("f", calls: [])
        outsider.nodes[0].inputs = ["y"]
        $0.functions = [outsider]
      }),
  ]
}

@Suite("ONNX structure")
struct ONNXStructureTests {
  @Test("A model that breaks a rule is refused by name", arguments: BrokenModel.all)
  func broken(_ broken: BrokenModel) throws {
    #expect(codeThrown { try broken.model.checkStructure() } == broken.code)
    // Read from a file, the error says where.
    let folder = try TemporaryFolder()
    try AtomicFile.write(broken.model.bytes(), to: folder("m.onnx"))
    do {
      _ = try ONNXFile(path: folder("m.onnx"))
      Issue.record("accepted")
    } catch {
      #expect(error.code.name == broken.code)
      #expect(error.file == folder("m.onnx"))
    }
  }

  @Test(
    "A file of another format is named as what it is",
    arguments: [
      ("an empty file", []), ("a Git LFS pointer", Array("version https://git-lfs.github.com/spec/v1\noid".utf8)),
      ("a web page", Array("<!DOCTYPE html><html>".utf8)), ("a GGUF file", Array("GGUF\u{3}\0\0\0".utf8)),
      ("a model in ONNX Runtime's own format", [24, 0, 0, 0] + Array("ORTM".utf8)),
      ("a safetensors file", [2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8)), ("a text", Array("{\"irVersion\": 8}".utf8)),
    ] as [(String, [UInt8])])
  func otherFormats(_ found: String, _ bytes: [UInt8]) throws {
    let folder = try TemporaryFolder()
    try AtomicFile.write(bytes, to: folder("m.onnx"))
    do {
      _ = try ONNXFile(path: folder("m.onnx"))
      Issue.record("accepted")
    } catch {
      #expect(error.code.name == "notONNX")
      #expect(error.found == found)
    }
  }

  @Test("Branches see the values around them, and siblings may use the same names")
  func scopes() throws {
    let branch = onnxGraph(inputs: [], [ONNXNode("Neg", inputs: ["x"], outputs: ["b"])], outputs: ["b"])
    let choice = ONNXNode(
      "If", inputs: ["x"], outputs: ["y"],
      attributes: [ONNXAttribute("then_branch", .graph(branch)), ONNXAttribute("else_branch", .graph(branch))])
    try onnxModel(onnxGraph([choice])).checkStructure()
  }

  @Test("An initializer may give an input its default; an input or an initializer may be an output")
  func defaults() throws {
    let tensor = ONNXTensor("x", .floats([1, 2], shape: [2]))
    try onnxModel(onnxGraph(outputs: ["x"], initializers: [tensor])).checkStructure()
    try onnxModel(onnxGraph(inputs: [], outputs: ["x"], initializers: [tensor])).checkStructure()
  }

  @Test("A hundred functions may call each other in a row")
  func callDepth() throws {
    var model = onnxModel(onnxGraph([add]))
    model.functions = (0..<100).map {
      BrokenModel.function(ByteString("f\($0)"), calls: $0 < 99 ? [ByteString("f\($0 + 1)")] : [])
    }
    try model.checkStructure()
  }
}
