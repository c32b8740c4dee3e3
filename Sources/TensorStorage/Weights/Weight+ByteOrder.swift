extension Weight {
  /// The same tensor with the bytes of each element in the opposite order.
  ///
  /// What a file holds big-endian is given so in the order that everything else works in. Twice is nothing; kept, zeroed and
  /// joined slices move inside.
  public func byteSwapped() -> Weight {
    guard let size = type.byteCount else { preconditionFailure("packed elements have no byte order") }
    if size == 1 { return self }
    switch expression {
    case .zeros: return self
    case .byteSwapped(let operand): return operand
    case .transpose(let operand, let permutation): return operand.byteSwapped().transposed(permutation)
    case .reshape(let operand): return operand.byteSwapped().reshaped(shape)
    case .literal(var bytes):
      for start in stride(from: 0, to: bytes.count, by: size) { bytes[start..<start + size].reverse() }
      return Weight(type: type, shape: shape, .literal(bytes))
    default: return Weight(type: type, shape: shape, .byteSwapped(self))
    }
  }
}
