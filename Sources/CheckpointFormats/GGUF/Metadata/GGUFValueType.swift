/// The type of a metadata value, with the format's number.
public enum GGUFValueType: UInt32, Sendable, Hashable, CaseIterable {
  /// Unsigned, 8 bits.
  case uint8 = 0
  /// Signed, 8 bits.
  case int8 = 1
  /// Unsigned, 16 bits.
  case uint16 = 2
  /// Signed, 16 bits.
  case int16 = 3
  /// Unsigned, 32 bits.
  case uint32 = 4
  /// Signed, 32 bits.
  case int32 = 5
  /// IEEE 754 single precision.
  case float32 = 6
  /// One byte; everything but 0 is true.
  case bool = 7
  /// Bytes with their number, UTF-8 by convention.
  case string = 8
  /// Elements of one type with their number.
  case array = 9
  /// Unsigned, 64 bits.
  case uint64 = 10
  /// Signed, 64 bits.
  case int64 = 11
  /// IEEE 754 double precision.
  case float64 = 12

  /// The name in the format's description.
  public var name: String { "\(self)" }

  /// The bytes of one value; nil for strings and arrays, which have no common length.
  public var byteCount: Int? {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    case .string, .array: nil
    }
  }

  /// Whether values are whole numbers.
  public var isInteger: Bool {
    switch self {
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: true
    case .float32, .float64, .bool, .string, .array: false
    }
  }

  /// Whether values are floating-point numbers.
  public var isFloatingPoint: Bool { self == .float32 || self == .float64 }
}
