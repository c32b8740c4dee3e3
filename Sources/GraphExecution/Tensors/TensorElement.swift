import TensorStorage

/// A Swift type whose values are the elements of a tensor in memory.
protocol TensorElement: BitwiseCopyable, Sendable {
  /// The type of a tensor that is made of such values unless it is said otherwise.
  static var elementType: ElementType { get }
}

extension TensorElement {
  /// Whether the elements of a tensor of this type are such values. Truth values are bytes 0 and 1.
  static func represents(_ type: ElementType) -> Bool {
    type == elementType || (elementType == .bool && type == .u8) || (elementType == .i64 && type == .string)
  }
}

/// Elements that are integers; truth values are not meant.
protocol IntegerElement: TensorElement, FixedWidthInteger {}

/// Elements that are floating-point numbers.
protocol FloatElement: TensorElement, BinaryFloatingPoint {}

extension Float: FloatElement { static var elementType: ElementType { .f32 } }
extension Double: FloatElement { static var elementType: ElementType { .f64 } }
extension Int64: IntegerElement { static var elementType: ElementType { .i64 } }
extension Int32: IntegerElement { static var elementType: ElementType { .i32 } }
extension Int16: IntegerElement { static var elementType: ElementType { .i16 } }
extension Int8: IntegerElement { static var elementType: ElementType { .i8 } }
extension UInt64: IntegerElement { static var elementType: ElementType { .u64 } }
extension UInt32: IntegerElement { static var elementType: ElementType { .u32 } }
extension UInt16: IntegerElement { static var elementType: ElementType { .u16 } }
extension UInt8: IntegerElement { static var elementType: ElementType { .bool } }

/// The type in which a graph's floating-point numbers are computed.
public enum ComputingPrecision: Sendable, Hashable {
  /// As the graph declares them, half floats in single precision: fast, and bit for bit as the order of summation says.
  case declared
  /// As declared, and what an operator gives is rounded to the type that ONNX says it has: a half float after every step.
  case rounded
  /// All of them in double precision: slow, for comparisons where rounding is in the way.
  case double
}

extension ElementType {
  /// The type that elements of this one have in memory, or nil when graphs do not compute with it.
  ///
  /// Narrow floats are held in single precision, integers of less than a byte one to a byte, strings as numbers of a table.
  func computed(in precision: ComputingPrecision) -> ElementType? {
    switch self {
    case .bool, .u8, .i8, .u16, .i16, .u32, .i32, .u64, .i64, .f64, .string: self
    case .u4, .u2: .u8
    case .i4, .i2: .i8
    case .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz, .f4, .f6e2m3, .f6e3m2, .f8e8m0:
      precision == .double ? .f64 : .f32
    case .c64, .c128: nil
    }
  }

  /// The type that a tensor of this one is declared to have: where narrow floats are not rounded, that of the memory.
  func tracked(in precision: ComputingPrecision) -> ElementType? {
    precision == .rounded || !isFloatingPoint ? self : computed(in: precision)
  }

  /// Bytes of one element of a computed type.
  var computedByteCount: Int { self == .string ? 8 : byteCount ?? 1 }

  /// The Swift type of the elements, where they are integers in memory.
  var integerElement: (any IntegerElement.Type)? {
    switch self {
    case .i64: Int64.self
    case .i32: Int32.self
    case .i16: Int16.self
    case .i8: Int8.self
    case .u64: UInt64.self
    case .u32: UInt32.self
    case .u16: UInt16.self
    case .u8: UInt8.self
    default: nil
    }
  }

  /// As `integerElement`; truth values and strings are bytes and numbers.
  var wholeElement: any IntegerElement.Type { self == .string ? Int64.self : integerElement ?? UInt8.self }

  /// The Swift type of the elements, where they are floating-point numbers in memory.
  var floatElement: (any FloatElement.Type)? {
    switch self {
    case .f32: Float.self
    case .f64: Double.self
    default: nil
    }
  }

  /// The Swift type of the elements of a computed type.
  var swiftElement: any TensorElement.Type {
    if let float = floatElement { return float }
    return wholeElement
  }
}
