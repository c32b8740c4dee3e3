extension Weight: CustomStringConvertible {
  /// The normal form, outermost operation first, as in `keep(axis 0: 48 of 64) of F32[64, 32] at 1234`.
  public var description: String {
    switch expression {
    case .stored(let tensor, let kept):
      let lists = kept.enumerated().compactMap { axis, selection in
        selection.map { "axis \(axis): \($0.indices.count) of \(tensor.shape[axis])" }
      }
      let source = "\(tensor.type)\(tensor.shape) at \(tensor.byteOffset)"
      return lists.isEmpty ? source : "keep(\(lists.joined(separator: ", "))) of \(source)"
    case .literal: return "literal \(type)\(shape)"
    case .zeros: return "zeros \(type)\(shape)"
    case .keep(let operand, let axis, let selection):
      return "keep(axis \(axis): \(selection.indices.count) of \(operand.shape[axis])) of \(operand)"
    case .zeroing(let operand, let axis, let positions):
      return "zero(axis \(axis): \(positions.indices.count) of \(operand.shape[axis])) of \(operand)"
    case .transpose(let operand, let permutation):
      return "transpose(\(permutation.map(String.init).joined(separator: ", "))) of \(operand)"
    case .reshape(let operand): return "reshape\(shape) of \(operand)"
    case .concatenation(let parts, let axis):
      return "concatenate(axis \(axis)) of (\(parts.map(\.description).joined(separator: "; ")))"
    case .cast(let operand): return "cast(\(type)) of \(operand)"
    case .product(let operand, let factor): return "product of (\(operand); \(factor))"
    case .sum(let operand, let term): return "sum of (\(operand); \(term))"
    case .dequantized(let operand, let format): return "unpack(\(format)) of \(operand)"
    case .byteSwapped(let operand): return "swap bytes of \(operand)"
    case .quantized(let operand, let format): return "pack(\(format)) of \(operand)"
    }
  }
}
