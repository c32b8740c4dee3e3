import PollardBase

extension ONNXAttribute {
  /// The types of attributes: `AttributeProto.AttributeType`.
  public enum Kind: Int32, Sendable, Hashable, CaseIterable {
    /// No type.
    case undefined = 0
    /// `FLOAT` 1, `INT` 2, `STRING` 3, `TENSOR` 4, `GRAPH` 5.
    case float, integer, string, tensor, graph
    /// `FLOATS` 6, `INTS` 7, `STRINGS` 8, `TENSORS` 9, `GRAPHS` 10.
    case floats, integers, strings, tensors, graphs
    /// `SPARSE_TENSOR` 11, `SPARSE_TENSORS` 12, `TYPE_PROTO` 13, `TYPE_PROTOS` 14.
    case sparseTensor, sparseTensors, type, types
  }

  /// The payload of an attribute.
  public enum Value: Sendable {
    /// `f`.
    case float(Float)
    /// `i`.
    case integer(Int64)
    /// `s`.
    case string(ByteString)
    /// `t`.
    case tensor(ONNXTensor)
    /// `g`.
    case graph(ONNXGraph)
    /// `floats`.
    case floats([Float])
    /// `ints`.
    case integers([Int64])
    /// `strings`.
    case strings([ByteString])
    /// `tensors`.
    case tensors([ONNXTensor])
    /// `graphs`.
    case graphs([ONNXGraph])
    /// `sparse_tensor`.
    case sparseTensor(ONNXSparseTensor)
    /// `sparse_tensors`.
    case sparseTensors([ONNXSparseTensor])
    /// `tp`.
    case type(ONNXType)
    /// `type_protos`.
    case types([ONNXType])
    /// `ref_attr_name`: the value of the function's attribute of this name.
    case reference(ByteString)
  }

  /// The declared type; where there is none, as in IR 1, that of the only payload; nil when that does not say.
  public var kind: Kind? {
    if let type, type != 0 { return Kind(rawValue: type) }
    let present = presentKinds
    return present.count == 1 ? present[0] : nil
  }

  /// The payload that the type asks for; a scalar that the file leaves out is zero or empty, as proto3 writers mean it.
  ///
  /// - Throws: `attributeMalformed` when type and payload disagree, there are several payloads, or a message is missing.
  public func value() throws(FormatError) -> Value {
    let present = presentKinds
    if let referenceName, !referenceName.isEmpty {
      guard present.isEmpty else { throw malformed("no value beside ref_attr_name", present) }
      return .reference(referenceName)
    }
    guard let kind else { throw malformed("a type", present) }
    guard present.allSatisfy({ $0 == kind }) else { throw malformed("a value of type \(kind) alone", present) }
    switch kind {
    case .undefined: throw malformed("a type", present)
    case .float: return .float(float ?? 0)
    case .integer: return .integer(integer ?? 0)
    case .string: return .string(string ?? "")
    case .floats: return .floats(floats)
    case .integers: return .integers(integers)
    case .strings: return .strings(strings)
    case .tensors: return .tensors(tensors)
    case .graphs: return .graphs(graphs)
    case .sparseTensors: return .sparseTensors(sparseTensors)
    case .types: return .types(valueTypes)
    case .tensor: if let tensor { return .tensor(tensor) }
    case .graph: if let graph { return .graph(graph) }
    case .sparseTensor: if let sparseTensor { return .sparseTensor(sparseTensor) }
    case .type: if let valueType { return .type(valueType) }
    }
    throw malformed("a value of type \(kind)", present)
  }

  /// Makes an attribute.
  public init(_ name: ByteString, _ value: Value) {
    self.init()
    self.name = name
    set(value)
  }

  /// Replaces type and payload; name and documentation stay.
  public mutating func set(_ value: Value) {
    clearPayload()
    switch value {
    case .float(let value): (float, type) = (value, Kind.float.rawValue)
    case .integer(let value): (integer, type) = (value, Kind.integer.rawValue)
    case .string(let value): (string, type) = (value, Kind.string.rawValue)
    case .tensor(let value): (tensor, type) = (value, Kind.tensor.rawValue)
    case .graph(let value): (graph, type) = (value, Kind.graph.rawValue)
    case .floats(let value): (floats, type) = (value, Kind.floats.rawValue)
    case .integers(let value): (integers, type) = (value, Kind.integers.rawValue)
    case .strings(let value): (strings, type) = (value, Kind.strings.rawValue)
    case .tensors(let value): (tensors, type) = (value, Kind.tensors.rawValue)
    case .graphs(let value): (graphs, type) = (value, Kind.graphs.rawValue)
    case .sparseTensor(let value): (sparseTensor, type) = (value, Kind.sparseTensor.rawValue)
    case .sparseTensors(let value): (sparseTensors, type) = (value, Kind.sparseTensors.rawValue)
    case .type(let value): (valueType, type) = (value, Kind.type.rawValue)
    case .types(let value): (valueTypes, type) = (value, Kind.types.rawValue)
    case .reference(let name):
      // The type stays: a reference has the type of the attribute that it stands for.
      referenceName = name
    }
  }

  private mutating func clearPayload() {
    (float, integer, string, tensor, graph, sparseTensor, valueType) = (nil, nil, nil, nil, nil, nil, nil)
    (floats, integers, strings, tensors, graphs) = ([], [], [], [], [])
    (sparseTensors, valueTypes, referenceName) = ([], [], nil)
  }

  private var presentKinds: [Kind] {
    let all: [(Kind, Bool)] = [
      (.float, float != nil), (.integer, integer != nil), (.string, string != nil), (.tensor, tensor != nil),
      (.graph, graph != nil), (.floats, !floats.isEmpty), (.integers, !integers.isEmpty), (.strings, !strings.isEmpty),
      (.tensors, !tensors.isEmpty), (.graphs, !graphs.isEmpty), (.sparseTensor, sparseTensor != nil),
      (.sparseTensors, !sparseTensors.isEmpty), (.type, valueType != nil), (.types, !valueTypes.isEmpty),
    ]
    return all.filter(\.1).map(\.0)
  }

  private func malformed(_ expected: String, _ present: [Kind]) -> FormatError {
    let found = present.isEmpty ? "none" : present.map { "\($0)" }.joined(separator: " and ")
    return FormatError(
      .attributeMalformed, file: wire.source?.source.path, subject: .key(name?.description ?? ""),
      at: wire.source.map { .byte($0.range.lowerBound) }, expected: expected, found: found)
  }
}
