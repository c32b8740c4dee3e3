import ModelGraph
import PollardBase
import TensorStorage

// Operators of the domain ai.onnx.ml that turn columns into features.

/// Positions of the last axis; a vector becomes a row.
///
/// - Source: ONNX ML ArrayFeatureExtractor-1.
func evaluateFeatureExtraction(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let positions = try context.integers(1)
  guard let extent = x.extents.last, positions.allSatisfy({ (0..<extent).contains($0) }) else {
    throw context.failure(
      .indexOutOfRange, expected: "positions of the last axis of \(x.extents)", found: "\(positions)")
  }
  try context.checkSize([wide, positions.count] + x.extents.dropLast())
  let rows = x.rank == 1 ? x.reshaped([1, extent], context.memory) : x
  return rows.selecting(positions, axis: rows.rank - 1).declared(x.declaredType)
}

/// 1 where an element is above a threshold, 0 elsewhere.
///
/// - Source: ONNX ML Binarizer-1.
func evaluateBinarizer(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let threshold = Double(context.node.float("threshold") ?? 0)
  guard x.type != .string else { throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)") }
  let ones = try converted(x, to: .f64, context).map(context.memory) { (value: Double) in
    UInt8(value > threshold ? 1 : 0)
  }
  return try converted(ones, to: x.type, context)
}

/// Each element replaced by the value that belongs to it in a list of keys.
///
/// - Source: ONNX ML LabelEncoder-4.
func evaluateLabelEncoder(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard let keys = try context.labels("keys"), let values = try context.labels("values"),
    keys.elementCount == values.elementCount
  else { throw context.failure(.illFormed, expected: "as many keys as values", found: "others") }
  guard x.type == keys.type || x.type.isFloatingPoint && keys.type.isFloatingPoint else {
    throw context.failure(.typeMismatch, expected: "\(keys.type)", found: "\(x.type)")
  }
  // Numbers are told apart by their value, NaN being one of them; strings by their number.
  func codes(_ tensor: Tensor) -> [UInt64] {
    if tensor.type == .string { return tensor.elements(Int64.self).map { UInt64(bitPattern: $0) } }
    if !tensor.type.isFloatingPoint { return tensor.integers().map { UInt64(bitPattern: $0) } }
    return tensor.doubles().map { $0.isNaN ? Double.nan.bitPattern : $0 == 0 ? 0 : $0.bitPattern }
  }
  var places: [UInt64: Int] = [:]
  for (place, code) in codes(keys).enumerated() where places[code] == nil { places[code] = place }
  let fallback = try context.defaultLabel(values.type)
  let table = try concatenated(
    [values.reshaped([values.elementCount], context.memory), fallback.reshaped([1], context.memory)], axis: 0, context)
  let chosen = codes(x).map { places[$0] ?? keys.elementCount }
  return try table.picking([chosen], context.memory).reshaped(x.extents, context.memory)
}

extension EvaluationContext {
  /// A list of keys or values, which stands in one of several attributes.
  fileprivate func labels(_ name: String) throws -> Tensor? {
    if case .strings(let values)? = node.attributes["\(name)_strings"] {
      return Tensor(strings: values.map { Array($0.utf8) }, extents: [values.count])
    }
    if let values = node.integers("\(name)_int64s") {
      return Tensor(integers: values.map { Int64($0) }, extents: [values.count])
    }
    if let values = node.floats("\(name)_floats") { return Tensor(floats: values, extents: [values.count]) }
    return try tensorAttribute("\(name)_tensor")
  }

  /// What stands for elements without a key.
  fileprivate func defaultLabel(_ type: ElementType) throws -> Tensor {
    if let found = try tensorAttribute("default_tensor"), found.elementCount == 1, found.type == type { return found }
    switch type {
    case .string: return Tensor(strings: [Array((node.string("default_string") ?? "_Unused").utf8)], extents: [1])
    case .f32, .f64:
      return try converted(Tensor(floats: [node.float("default_float") ?? -0.0], extents: [1]), to: type, self)
    default:
      let value = Int64(node.integer("default_int64", default: -1))
      return try converted(Tensor(integers: [value], extents: [1]), to: type, self)
    }
  }
}

extension EvaluatorTable {
  static let features: [OperatorName: Evaluator] = [
    OperatorName("ArrayFeatureExtractor", domain: "ai.onnx.ml"): { [try evaluateFeatureExtraction($0)] },
    OperatorName("Binarizer", domain: "ai.onnx.ml"): { [try evaluateBinarizer($0)] },
    OperatorName("LabelEncoder", domain: "ai.onnx.ml"): { [try evaluateLabelEncoder($0)] },
  ]
}
