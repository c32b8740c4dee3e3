import TensorStorage

/// A Swift type whose values are the elements of a tensor.
///
/// Graphs compute with five element types; truth values are bytes 0 and 1, half floats are held in single precision.
protocol TensorElement: BitwiseCopyable, Sendable {
  static var elementType: ElementType { get }
}

extension Float: TensorElement { static var elementType: ElementType { .f32 } }
extension Double: TensorElement { static var elementType: ElementType { .f64 } }
extension Int64: TensorElement { static var elementType: ElementType { .i64 } }
extension Int32: TensorElement { static var elementType: ElementType { .i32 } }
extension UInt8: TensorElement { static var elementType: ElementType { .bool } }

/// The type in which a graph's floating-point numbers are computed.
public enum ComputingPrecision: Sendable, Hashable {
  /// As the graph declares them, half floats in single precision: fast, and bit for bit as the order of summation says.
  case declared
  /// All of them in double precision: slow, for comparisons where rounding is in the way.
  case double
}

extension ElementType {
  /// The type that a graph computes with where it declares this one, or nil when there is none.
  func computed(in precision: ComputingPrecision) -> ElementType? {
    switch self {
    case .bool, .i32, .i64, .f64: self
    case .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz: precision == .double ? .f64 : .f32
    case .f4, .f6e2m3, .f6e3m2, .f8e8m0, .u8, .i8, .i16, .u16, .u32, .u64, .c64: nil
    case .u2, .i2, .u4, .i4, .c128, .string: nil
    }
  }

  /// Bytes of one element of a computed type.
  var computedByteCount: Int { byteCount ?? 1 }
}
