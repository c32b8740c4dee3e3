import PollardBase

/// A metadata value with its exact type.
public enum GGUFValue: Sendable {
  /// Unsigned, 8 bits.
  case uint8(UInt8)
  /// Signed, 8 bits.
  case int8(Int8)
  /// Unsigned, 16 bits.
  case uint16(UInt16)
  /// Signed, 16 bits.
  case int16(Int16)
  /// Unsigned, 32 bits; what the loaders want for every count and token id.
  case uint32(UInt32)
  /// Signed, 32 bits.
  case int32(Int32)
  /// Single precision; what the loaders want for every factor.
  case float32(Float)
  /// A truth value.
  case bool(Bool)
  /// Bytes, UTF-8 by convention.
  case string(ByteString)
  /// Elements of one type.
  case array(GGUFArray)
  /// Unsigned, 64 bits.
  case uint64(UInt64)
  /// Signed, 64 bits.
  case int64(Int64)
  /// Double precision.
  case float64(Double)

  /// A string value of UTF-8.
  public static func string(_ text: String) -> GGUFValue { .string(ByteString(text)) }

  /// The type.
  public var type: GGUFValueType {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .float32: .float32
    case .bool: .bool
    case .string: .string
    case .array: .array
    case .uint64: .uint64
    case .int64: .int64
    case .float64: .float64
    }
  }

  /// The type as messages name it: `uint32`, or `array of string`.
  public var typeDescription: String {
    if case .array(let array) = self { "array of \(array.elementType.name)" } else { type.name }
  }

  /// The whole number, or nil when the value is none or does not fit.
  public var integer: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(value)
    case .float32, .float64, .bool, .string, .array: nil
    }
  }

  /// The floating-point number, or nil when the value is none.
  public var double: Double? {
    switch self {
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: nil
    }
  }

  /// The truth value, or nil when the value is none.
  public var boolean: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The text, or nil when the value is no string; invalid UTF-8 shows as replacement characters.
  public var text: String? { if case .string(let value) = self { value.description } else { nil } }

  /// The array, or nil when the value is none.
  public var array: GGUFArray? { if case .array(let value) = self { value } else { nil } }
}

extension GGUFValue: Hashable {
  /// Equality of types and bits: +0 is not -0, and a NaN is equal to itself.
  public static func == (a: Self, b: Self) -> Bool {
    switch (a, b) {
    case (.float32(let a), .float32(let b)): a.bitPattern == b.bitPattern
    case (.float64(let a), .float64(let b)): a.bitPattern == b.bitPattern
    case (.bool(let a), .bool(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.uint64(let a), .uint64(let b)): a == b
    default: a.type == b.type && a.integer != nil && a.integer == b.integer
    }
  }

  /// Hashes type and content.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(type)
    switch self {
    case .float32(let value): hasher.combine(value.bitPattern)
    case .float64(let value): hasher.combine(value.bitPattern)
    case .bool(let value): hasher.combine(value)
    case .string(let value): hasher.combine(value)
    case .array(let value): hasher.combine(value)
    case .uint64(let value): hasher.combine(value)
    default: hasher.combine(integer)
    }
  }
}

extension GGUFValue {
  /// The same value in another type, or nil when that type does not hold it exactly.
  ///
  /// Whole numbers become whole numbers, floating-point numbers floating-point numbers (rounded from double to single
  /// precision, where that is what the type is), and arrays arrays of as many elements.
  public func converted(to type: GGUFValueType, elementType: GGUFValueType? = nil) -> GGUFValue? {
    if case .array(let array) = self {
      guard type == .array, let elementType else { return nil }
      if array.elementType == elementType { return self }
      if let integers = array.integers { return GGUFArray(integers, as: elementType).map { .array($0) } }
      guard elementType == .float32, let floats = array.floats else { return nil }
      return .array(GGUFArray(floats))
    }
    if type == self.type { return self }
    if let double {
      switch type {
      case .float32: return .float32(Float(double))
      case .float64: return .float64(double)
      default: return nil
      }
    }
    guard let integer else { return nil }
    switch type {
    case .uint8: return UInt8(exactly: integer).map { .uint8($0) }
    case .int8: return Int8(exactly: integer).map { .int8($0) }
    case .uint16: return UInt16(exactly: integer).map { .uint16($0) }
    case .int16: return Int16(exactly: integer).map { .int16($0) }
    case .uint32: return UInt32(exactly: integer).map { .uint32($0) }
    case .int32: return Int32(exactly: integer).map { .int32($0) }
    case .uint64: return UInt64(exactly: integer).map { .uint64($0) }
    case .int64: return .int64(Int64(integer))
    case .float32, .float64, .bool, .string, .array: return nil
    }
  }
}

extension GGUFValue: CustomStringConvertible {
  /// The value for people; long arrays are cut.
  public var description: String {
    switch self {
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .int64: return "\(integer ?? 0)"
    case .uint64(let value): return "\(value)"
    case .float32(let value): return "\(value)"
    case .float64(let value): return "\(value)"
    case .bool(let value): return "\(value)"
    case .string(let value): return "\"\(value)\""
    case .array(let array):
      let shown = (0..<min(array.count, 8)).map { array[$0].description }.joined(separator: ", ")
      return array.count > 8 ? "[\(shown), … \(array.count) in all]" : "[\(shown)]"
    }
  }
}
