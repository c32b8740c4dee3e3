import PollardBase

extension Weight {
  /// The stored tensors that evaluation reads from, whole, in the order of the expression.
  ///
  /// - Complexity: O(size of the expression).
  package var storedParts: [FileReadAhead.Part] {
    switch expression {
    case .stored(let tensor, _):
      guard let count = tensor.shape.byteCount(of: tensor.type), count > 0 else { return [] }
      return [FileReadAhead.Part(file: tensor.file, range: tensor.byteOffset..<tensor.byteOffset + count)]
    case .literal, .zeros: return []
    case .keep(let operand, _, _), .zeroing(let operand, _, _), .transpose(let operand, _), .reshape(let operand),
      .cast(let operand), .dequantized(let operand, _), .quantized(let operand, _), .byteSwapped(let operand):
      return operand.storedParts
    case .concatenation(let operands, _): return operands.flatMap(\.storedParts)
    case .product(let a, let b), .sum(let a, let b): return a.storedParts + b.storedParts
    }
  }
}
