extension ElementType {
  /// Whether values of this type can be converted to another by `Weight.cast(to:)`.
  ///
  /// All real types of whole bytes convert into each other, but nothing converts to `f8e8m0`.
  public func canBeCast(to target: ElementType) -> Bool {
    if self == target { return true }
    return isRealOfWholeBytes && target.isRealOfWholeBytes && target != .f8e8m0
  }

  /// Whether every value of this type is also a value of another, so that a cast there loses nothing.
  public func isEmbedded(in wider: ElementType) -> Bool {
    if self == wider { return true }
    switch self {
    case .f8e5m2, .f8e4m3, .f8e4m3fnuz, .f8e5m2fnuz: return [.f16, .bf16, .f32, .f64].contains(wider)
    case .f16, .bf16, .f8e8m0: return [.f32, .f64].contains(wider)
    case .f32: return wider == .f64
    case .u8: return [.i16, .u16, .i32, .u32, .i64, .u64, .f16, .bf16, .f32, .f64].contains(wider)
    case .i8: return [.i16, .i32, .i64, .f16, .bf16, .f32, .f64].contains(wider)
    case .u16: return [.i32, .u32, .i64, .u64, .f32, .f64].contains(wider)
    case .i16: return [.i32, .i64, .f32, .f64].contains(wider)
    case .u32: return [.i64, .u64, .f64].contains(wider)
    case .i32: return [.i64, .f64].contains(wider)
    case .bool, .f4, .f6e2m3, .f6e3m2, .f64, .c64, .i64, .u64, .u2, .i2, .u4, .i4, .c128, .string: return false
    }
  }

  private var isRealOfWholeBytes: Bool { byteCount != nil && self != .c64 && self != .c128 }

  /// Whether products and sums can be formed in this type.
  var isArithmetic: Bool { isFloatingPoint && byteCount != nil && self != .f8e8m0 }

  /// Whether an element of zero bytes is the number zero.
  var zeroBytesMeanZero: Bool { self != .f8e8m0 }
}
