import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXImporter {
  /// The declared type of an input.
  ///
  /// - Throws: `unsupportedValueType`, naming the input.
  mutating func valueType(of input: ONNXValueInfo) throws(FormatError) -> ValueType {
    try checkIsTensor(input)
    let tensor = input.type?.tensor
    guard let element = ONNXDataType(rawValue: tensor?.elementType ?? 0)?.elementType else {
      throw unsupported(input, "element type \(tensor?.elementType ?? 0)")
    }
    guard let dimensions = tensor?.shape?.dimensions else { return ValueType(element, nil) }
    let name = (input.name ?? "").description
    var shape: [Size] = []
    for (axis, dimension) in dimensions.enumerated() {
      shape.append(symbols.size(of: dimension, axis: axis, of: name))
    }
    return ValueType(element, shape)
  }

  /// Refuses an interface value that is no dense tensor.
  func checkIsTensor(_ value: ONNXValueInfo) throws(FormatError) {
    guard let type = value.type else { return }
    let kinds: [(String, Bool)] = [
      ("a sequence", type.sequence != nil), ("a map", type.map != nil), ("an opaque value", type.opaque != nil),
      ("a sparse tensor", type.sparseTensor != nil), ("an optional value", type.optional != nil),
    ]
    if let kind = kinds.first(where: \.1) { throw unsupported(value, kind.0) }
  }

  func unsupported(_ value: ONNXValueInfo, _ found: String) -> FormatError {
    FormatError(
      .unsupportedValueType, subject: .value((value.name ?? "").description),
      at: value.wire.source.map { .byte($0.range.lowerBound) }, expected: "a dense tensor", found: found)
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
