extension Weight {
  /// The same tensor with its axes in another order: axis `i` of the result is axis `permutation[i]`.
  ///
  /// - Complexity: O(rank); O(bytes) for a literal.
  public func transposed(_ permutation: [Int]) -> Weight {
    precondition(permutation.sorted() == Array(0..<shape.rank), "the axes are a permutation")
    if IndexSelection.isEverything(permutation, of: shape.rank) { return self }
    let result = Shape(permutation.map { shape[$0] })
    switch expression {
    case .zeros:
      return .zeros(type: type, shape: result)
    case .transpose(let operand, let inner):
      return operand.transposed(permutation.map { inner[$0] })
    case .literal(let bytes):
      if let size = type.byteCount {
        return Weight(
          type: type, shape: result, .literal(permutedBytes(bytes, of: shape, permutation: permutation, size: size)))
      }
    default: break
    }
    precondition(type.byteCount != nil, "packed elements cannot be transposed")
    return Weight(type: type, shape: result, .transpose(self, permutation: permutation))
  }

  /// A matrix with rows and columns exchanged.
  public func transposed() -> Weight {
    precondition(shape.rank == 2, "only a matrix is transposed without naming its axes")
    return transposed([1, 0])
  }

  /// The same elements in row-major order under other extents with the same product.
  public func reshaped(_ shape: Shape) -> Weight {
    precondition(shape.elementCount == self.shape.elementCount, "a reshape keeps the number of elements")
    if shape == self.shape { return self }
    switch expression {
    case .zeros, .literal: return Weight(type: type, shape: shape, expression)
    case .reshape(let operand): return operand.reshaped(shape)
    default: return Weight(type: type, shape: shape, .reshape(self))
    }
  }

  /// The permutation at the root of the normal form, or nil when evaluation order is the operand's.
  ///
  /// Axis `i` of this weight is axis `outerPermutation[i]` of `withoutOuterPermutation`. Who can take elements in any
  /// order (a matrix packer) reads the operand and is spared the transposition.
  public var outerPermutation: [Int]? {
    if case .transpose(_, let permutation) = expression { permutation } else { nil }
  }

  /// The weight before its outermost permutation; the weight itself when there is none.
  public var withoutOuterPermutation: Weight {
    if case .transpose(let operand, _) = expression { operand } else { self }
  }
}

/// The permutation that undoes another.
func inverse(_ permutation: [Int]) -> [Int] {
  var result = permutation
  for (axis, source) in permutation.enumerated() { result[source] = axis }
  return result
}
