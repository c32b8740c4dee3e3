import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXImporter {
  /// The declared type of an input; nil for a sequence and for an optional value.
  ///
  /// - Throws: `unsupportedValueType`, naming the input.
  mutating func valueType(of input: ONNXValueInfo) throws(FormatError) -> ValueType? {
    try checkIsSupported(input)
    if input.type?.sequence != nil || input.type?.optional != nil { return nil }
    if let type = tensorType(of: input) { return type }
    throw unsupported(input, "element type \(input.type?.tensor?.elementType ?? 0)")
  }

  /// The declared type of a tensor; nil when it is none, or of a type that nobody knows.
  mutating func tensorType(of value: ONNXValueInfo) -> ValueType? {
    let tensor = value.type?.tensor
    guard let element = ONNXDataType(rawValue: tensor?.elementType ?? 0)?.elementType else { return nil }
    guard let dimensions = tensor?.shape?.dimensions else { return ValueType(element, nil) }
    let name = (value.name ?? "").description
    var shape: [Size] = []
    for (axis, dimension) in dimensions.enumerated() {
      shape.append(symbols.size(of: dimension, axis: axis, of: name))
    }
    return ValueType(element, shape)
  }

  /// Refuses an interface value that is neither a dense tensor, nor a sequence of such, nor an optional one of these.
  func checkIsSupported(_ value: ONNXValueInfo) throws(FormatError) {
    var type = value.type
    var isNested = false
    for _ in 0..<2 {
      let kinds: [(String, Bool)] = [
        ("a map", type?.map != nil), ("an opaque value", type?.opaque != nil),
        ("a sparse tensor", type?.sparseTensor != nil),
      ]
      if let kind = kinds.first(where: \.1) { throw unsupported(value, kind.0) }
      let isSequence = type?.sequence != nil
      // What lies in a sequence is a tensor; in an optional value there may be a sequence.
      if isNested, isSequence || type?.optional != nil {
        throw unsupported(value, "a sequence of values that are no tensors")
      }
      guard let element = type?.sequence?.element ?? type?.optional?.element else { return }
      isNested = isSequence
      type = element
    }
    if type?.tensor == nil { throw unsupported(value, "a sequence of values that are no tensors") }
  }

  func unsupported(_ value: ONNXValueInfo, _ found: String) -> FormatError {
    FormatError(
      .unsupportedValueType, subject: .value((value.name ?? "").description),
      at: value.wire.source.map { .byte($0.range.lowerBound) }, expected: "a dense tensor or a sequence of such",
      found: found)
  }

  /// How an input with one of transformers' names is filled when it is left out.
  ///
  /// Positions begin at 0 only where nothing can come before them, so not where the model takes a past.
  func derivation(of input: ONNXValueInfo, _ type: ValueType, among inputs: [ONNXValueInfo]) -> DerivedInput? {
    guard type.shape?.count == 2, !type.element.isFloatingPoint || input.name == "attention_mask" else { return nil }
    switch input.name {
    case "attention_mask": return .ones
    case "token_type_ids": return .zeros
    case "position_ids":
      let takesPast = inputs.contains { ($0.name ?? "").description.hasPrefix("past") }
      return takesPast ? nil : .ascending
    default: return nil
    }
  }
}
