import PollardBase

/// A tensor that is not in memory: bytes of a file, and what is to be done to them when they are wanted.
///
/// Operations build an expression and cost nothing per element. The expression is always held in a normal form, so that
/// steps which undo each other disappear whatever lies between them:
///
///     permutations and reshapes     outermost; permutations compose and cancel
///     casts, products, sums, …      in the order they were asked for; an exact widening followed by a cast is one cast
///     zeroed positions              inside casts
///     kept indices                  innermost; lists for the same axis compose
///     unpacked blocks               around kept rows and whole blocks of bytes
///     swapped bytes                 around kept indices and zeroed positions
///     stored bytes, literals, zeros leaves
///
/// A matrix imported as `stored.transposed().cast(to: .f32)`, cut along both axes, and exported by casting and transposing
/// back is therefore a `keep` of stored bytes again, which `sourceSlice` shows and evaluation copies.
///
/// Operands that do not fit an operation are programmer errors: callers check shapes that come from files first.
/// Two weights are equal when their normal forms are, over the same bytes of the same file.
public struct Weight: Sendable, Hashable {
  /// The type of the elements that evaluation gives.
  public let type: ElementType
  /// The extents that evaluation gives.
  public let shape: Shape
  let expression: Expression

  /// The operation at the root of a normal form.
  indirect enum Expression: Sendable, Hashable {
    /// Bytes of a file; for each axis of the stored tensor the indices that are kept, or nil for all.
    case stored(StoredTensor, kept: [IndexSelection?])
    /// Bytes in memory, row-major.
    case literal([UInt8])
    /// Zero bytes.
    case zeros
    /// Indices kept along an axis, where they cannot be moved further in.
    case keep(Weight, axis: Int, IndexSelection)
    /// Slices replaced by +0; positions ascend.
    case zeroing(Weight, axis: Int, IndexSelection)
    /// Axis `i` of the result is axis `permutation[i]` of the operand.
    case transpose(Weight, permutation: [Int])
    /// The same elements in row-major order, other extents.
    case reshape(Weight)
    /// Operands joined along an axis.
    case concatenation([Weight], axis: Int)
    /// Another element type.
    case cast(Weight)
    /// Elementwise product; extents of 1 in the second operand are broadcast.
    case product(Weight, Weight)
    /// Elementwise sum; extents of 1 in the second operand are broadcast.
    case sum(Weight, Weight)
    /// The numbers of packed blocks; the operand holds the bytes.
    case dequantized(Weight, BlockFormat)
    /// Numbers packed into blocks along the last axis.
    case quantized(Weight, BlockFormat)
    /// The bytes of each element in the opposite order.
    case byteSwapped(Weight)
  }

  init(type: ElementType, shape: Shape, _ expression: Expression) {
    self.type = type
    self.shape = shape
    self.expression = expression
  }
}

/// A tensor as a file stores it: dense, row-major, little-endian.
struct StoredTensor: Sendable, Hashable {
  let file: FileSource
  let byteOffset: Int
  let type: ElementType
  let shape: Shape

  static func == (a: Self, b: Self) -> Bool {
    a.byteOffset == b.byteOffset && a.type == b.type && a.shape == b.shape && a.file.identity == b.file.identity
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(file.identity)
    hasher.combine(byteOffset)
    hasher.combine(type)
    hasher.combine(shape)
  }
}

extension Weight {
  /// A tensor stored in a file, dense and row-major, from a byte offset on.
  ///
  /// The caller has checked that the range lies inside the file and that the elements fill whole bytes.
  public static func stored(_ file: FileSource, byteOffset: Int, type: ElementType, shape: Shape) -> Weight {
    guard let byteCount = shape.byteCount(of: type) else { preconditionFailure("stored elements fill whole bytes") }
    precondition(
      byteOffset >= 0 && byteCount <= file.size && byteOffset <= file.size - byteCount,
      "a stored tensor lies inside its file")
    let tensor = StoredTensor(file: file, byteOffset: byteOffset, type: type, shape: shape)
    return Weight(type: type, shape: shape, .stored(tensor, kept: Array(repeating: nil, count: shape.rank)))
  }

  /// A tensor whose bytes, row-major and little-endian, are given.
  public static func literal(bytes: [UInt8], type: ElementType, shape: Shape) -> Weight {
    precondition(shape.byteCount(of: type) == bytes.count, "a literal's bytes fill its shape")
    return Weight(type: type, shape: shape, .literal(bytes))
  }

  /// An F32 tensor with the given elements, row-major.
  public static func floats(_ values: [Float], shape: Shape) -> Weight {
    literal(bytes: littleEndianBytes(values.map(\.bitPattern)), type: .f32, shape: shape)
  }

  /// An F64 tensor with the given elements, row-major.
  public static func doubles(_ values: [Double], shape: Shape) -> Weight {
    literal(bytes: littleEndianBytes(values.map(\.bitPattern)), type: .f64, shape: shape)
  }

  /// An I64 tensor with the given elements, row-major.
  public static func integers(_ values: [Int64], shape: Shape) -> Weight {
    literal(bytes: littleEndianBytes(values), type: .i64, shape: shape)
  }

  /// A tensor whose bytes are all zero.
  public static func zeros(type: ElementType, shape: Shape) -> Weight {
    precondition(shape.byteCount(of: type) != nil, "zeros fill whole bytes")
    return Weight(type: type, shape: shape, .zeros)
  }

  /// The number of bytes that evaluation gives.
  public var byteCount: Int {
    guard let count = shape.byteCount(of: type) else { preconditionFailure("weights fill whole bytes") }
    return count
  }
}

private func littleEndianBytes<Value: FixedWidthInteger>(_ values: [Value]) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(values.count * MemoryLayout<Value>.size)
  for value in values { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
  return bytes
}
