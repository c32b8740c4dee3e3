import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXImporter {
  /// The elements of a tensor; nil for strings and for packed elements that do not fill whole bytes.
  static func weight(of tensor: ONNXTensor, _ externalFiles: ONNXExternalFiles) throws(FormatError) -> Weight? {
    let form = try tensor.form()
    guard let type = form.type.elementType, let byteCount = form.byteCount,
      form.shape.byteCount(of: type) == byteCount
    else { return nil }
    return try tensor.weight(externalFiles: externalFiles)
  }

  /// Contents of attributes up to this size are read, so that equal ones in different files are equal.
  private static let largestLiteral = 1 << 16

  /// A message as bytes that nobody interprets.
  static func opaque(_ message: some ONNXMessage) throws(FormatError) -> Weight {
    let encoding = try ONNXEncoding(message)
    if encoding.count > largestLiteral, encoding.pieces.count == 1, case .slice(let slice) = encoding.pieces[0],
      case .file(let file) = slice.source.storage
    {
      return .stored(file, byteOffset: slice.range.lowerBound, type: .u8, shape: [slice.count])
    }
    return .literal(bytes: try encoding.bytes(), type: .u8, shape: [encoding.count])
  }

  /// The content of a `Constant` node; nil for strings and sparse tensors.
  func constant(_ node: ONNXNode) throws(FormatError) -> Weight? {
    guard node.attributes.count == 1 else { return nil }
    switch try node.attributes[0].value() {
    case .tensor(let tensor): return try Self.weight(of: tensor, file.externalFiles)
    case .float(let value): return .floats([value], shape: [])
    case .floats(let values): return .floats(values, shape: [values.count])
    case .integer(let value): return .integers([value], shape: [])
    case .integers(let values): return .integers(values, shape: [values.count])
    default: return nil
    }
  }

  /// An attribute for the graph, and the names that its subgraphs use.
  func attribute(_ attribute: ONNXAttribute) throws(FormatError) -> (Attribute, [ByteString]) {
    switch try attribute.value() {
    case .float(let value): return (.float(value), [])
    case .integer(let value): return (.integer(Int(value)), [])
    case .string(let value): return (.string(value.description), [])
    case .floats(let values): return (.floats(values), [])
    case .integers(let values): return (.integers(values.map { Int($0) }), [])
    case .strings(let values): return (.strings(values.map(\.description)), [])
    case .tensor(let tensor):
      if let weight = try Self.weight(of: tensor, file.externalFiles) {
        guard weight.byteCount <= Self.largestLiteral else { return (.tensor(weight), []) }
        return (.tensor(.literal(bytes: try weight.bytes(), type: weight.type, shape: weight.shape)), [])
      }
      return (.opaque(try Self.opaque(attribute)), [])
    case .graph(let graph): return (.opaque(try Self.opaque(attribute)), graph.namesUsed())
    case .graphs(let graphs): return (.opaque(try Self.opaque(attribute)), graphs.flatMap { $0.namesUsed() })
    case .tensors, .sparseTensor, .sparseTensors, .type, .types, .reference:
      return (.opaque(try Self.opaque(attribute)), [])
    }
  }
}

extension ONNXGraph {
  /// What nodes and results refer to, values of the graph itself among it.
  fileprivate func namesUsed() -> [ByteString] {
    nodes.flatMap { $0.valuesUsed() } + outputs.compactMap(\.name)
  }
}
