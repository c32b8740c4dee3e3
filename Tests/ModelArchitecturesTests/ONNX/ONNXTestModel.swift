import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Small ONNX models built message by message, and files of them.
enum ONNXTestModel {
  /// A model of a graph.
  static func model(
    _ graph: ONNXGraph, irVersion: Int64 = 8, imports: [(ByteString, Int64)] = [("", 17)],
    functions: [ONNXFunction] = []
  ) -> ONNXModel {
    var model = ONNXModel()
    model.irVersion = irVersion
    model.graph = graph
    model.operatorSets = imports.map { ONNXOperatorSet(domain: $0.0, version: $0.1) }
    model.functions = functions
    return model
  }

  /// A graph; values are F32 vectors unless said otherwise.
  static func graph(
    _ nodes: [ONNXNode], inputs: [ONNXValueInfo] = [], outputs: [ONNXValueInfo], initializers: [ONNXTensor] = []
  ) -> ONNXGraph {
    var graph = ONNXGraph()
    graph.name = "g"
    graph.nodes = nodes
    graph.inputs = inputs
    graph.outputs = outputs
    graph.initializers = initializers
    return graph
  }

  /// The description of a tensor value.
  static func value(_ name: ByteString, _ dimensions: [ONNXDimension], of type: ONNXDataType = .float) -> ONNXValueInfo
  {
    ONNXValueInfo(name, ONNXType(type, shape: dimensions))
  }

  /// An initializer of consecutive numbers.
  static func floats(_ name: ByteString, _ extents: [Int]) -> ONNXTensor {
    ONNXTensor(name, .floats((0..<extents.reduce(1, *)).map(Float.init), shape: Shape(extents)))
  }

  /// Writes a model to a file, reads and imports it; the file goes away.
  static func imported(_ model: ONNXModel) throws -> ImportedONNXModel {
    let path = "/tmp/pollard-onnx-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).onnx"
    let bytes = try model.encoded().bytes()
    let file = try #require(fopen(path, "wb"))
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
    defer { remove(path) }
    return try ImportedONNXModel(path: path)
  }
}

extension ImportedONNXModel {
  /// The bytes that are written for a graph.
  func written(_ graph: Graph) throws -> [UInt8] { try exported(graph: graph).encoded().bytes() }

  /// The bytes of the file.
  func original() throws -> [UInt8] { try file.source.bytes(0..<file.source.size) }

  /// The value of a name, as the graph has it.
  func id(_ name: String) throws -> ValueID { try #require(graph.value(named: name)) }
}

extension Graph {
  /// Replaces operands and attributes of a node.
  mutating func change(_ name: String, _ body: (inout Node) -> Void) {
    replaceNodes(
      nodes.map { node in
        var node = node
        if node.name == name { body(&node) }
        return node
      })
  }

  /// Gives a constant other content.
  mutating func setContent(_ id: ValueID, _ weight: Weight) {
    self[id].initializer = weight
    self[id].type = ValueType(weight.type, weight.shape.extents.map { Size($0) })
  }
}
