import CheckpointFormats
import PollardBase
import TensorStorage

/// The rows of a file of `golden/onnx-codec/`, or of a file anywhere.
func onnxRows(_ name: String) throws -> [[Substring]] {
  let path = Paths.join(Paths.join(golden, "onnx-codec"), name)
  return String(decoding: try allBytes(path), as: UTF8.self).split(separator: "\n")
    .map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
}

/// Bytes from hexadecimal digits; `-` is none.
func bytes(hexadecimal text: Substring) throws -> [UInt8] {
  if text == "-" { return [] }
  let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
  guard digits.count == text.utf8.count, digits.count % 2 == 0 else { throw FormatError(.protobufMalformed) }
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

/// A model around a graph, of IR 10 and opset 21.
func onnxModel(_ graph: ONNXGraph, irVersion: Int64 = 10) -> ONNXModel {
  var model = ONNXModel()
  model.irVersion = irVersion
  model.operatorSets = [ONNXOperatorSet(domain: "", version: 21)]
  model.graph = graph
  return model
}

/// A graph with inputs, nodes and outputs of no particular type.
func onnxGraph(
  inputs: [ByteString] = ["x"], _ nodes: [ONNXNode] = [], outputs: [ByteString] = ["y"],
  initializers: [ONNXTensor] = []
) -> ONNXGraph {
  var graph = ONNXGraph()
  graph.name = "g"
  graph.nodes = nodes
  graph.inputs = inputs.map { ONNXValueInfo($0, ONNXType(.float, shape: [ONNXDimension(2)])) }
  graph.outputs = outputs.map { ONNXValueInfo($0, ONNXType(.float, shape: [ONNXDimension(2)])) }
  graph.initializers = initializers
  return graph
}

extension ONNXMessage {
  /// The encoded message.
  func bytes() throws -> [UInt8] { try ONNXEncoding(self).bytes() }
}
