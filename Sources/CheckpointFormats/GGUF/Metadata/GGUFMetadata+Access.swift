import PollardBase

// Each getter comes twice: with the key alone it throws `ggufKeyMissing` when there is none; with `ifPresent:` it gives nil.
extension GGUFMetadata {
  /// The value of a key.
  ///
  /// - Throws: `ggufKeyMissing`.
  public func value(_ key: String) throws(FormatError) -> GGUFValue {
    guard let value = self[key] else { throw FormatError(.ggufKeyMissing, subject: .key(key)) }
    return value
  }

  /// The whole number of a key, of any integer type.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`, `ggufValueOutOfRange`.
  public func integer(_ key: String) throws(FormatError) -> Int { try Self.integer(key, value(key)) }

  /// The whole number of a key, of any integer type, or nil when there is none.
  public func integer(ifPresent key: String) throws(FormatError) -> Int? {
    guard let value = self[key] else { return nil }
    return try Self.integer(key, value)
  }

  /// The floating-point number of a key.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`.
  public func float(_ key: String) throws(FormatError) -> Float { try Self.float(key, value(key)) }

  /// The floating-point number of a key, or nil when there is none.
  public func float(ifPresent key: String) throws(FormatError) -> Float? {
    guard let value = self[key] else { return nil }
    return try Self.float(key, value)
  }

  /// The truth value of a key.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`.
  public func bool(_ key: String) throws(FormatError) -> Bool { try Self.bool(key, value(key)) }

  /// The truth value of a key, or nil when there is none.
  public func bool(ifPresent key: String) throws(FormatError) -> Bool? {
    guard let value = self[key] else { return nil }
    return try Self.bool(key, value)
  }

  /// The text of a key; invalid UTF-8 shows as replacement characters.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`.
  public func string(_ key: String) throws(FormatError) -> String { try Self.string(key, value(key)) }

  /// The text of a key, or nil when there is none.
  public func string(ifPresent key: String) throws(FormatError) -> String? {
    guard let value = self[key] else { return nil }
    return try Self.string(key, value)
  }

  /// The array of a key.
  ///
  /// - Parameters:
  ///   - elementType: the type that its elements must have; nil for any.
  ///   - count: how many there must be; nil for any number.
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`, `ggufArrayLengthMismatch`.
  public func array(
    _ key: String, of elementType: GGUFValueType? = nil, count: Int? = nil
  ) throws(FormatError) -> GGUFArray { try Self.array(key, value(key), elementType, count) }

  /// The array of a key, or nil when there is none.
  public func array(
    ifPresent key: String, of elementType: GGUFValueType? = nil, count: Int? = nil
  ) throws(FormatError) -> GGUFArray? {
    guard let value = self[key] else { return nil }
    return try Self.array(key, value, elementType, count)
  }

  /// The strings of a key.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`.
  public func strings(_ key: String) throws(FormatError) -> [String] { try array(key, of: .string).strings ?? [] }

  /// The strings of a key, or nil when there is none.
  public func strings(ifPresent key: String) throws(FormatError) -> [String]? {
    try array(ifPresent: key, of: .string)?.strings
  }

  /// The floating-point numbers of a key.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`.
  public func floats(_ key: String) throws(FormatError) -> [Float] {
    let value = try value(key)
    guard let floats = value.array?.floats else { throw Self.mismatch(key, "array of float32", value) }
    return floats
  }

  /// The whole numbers of a key that holds one for each of so many layers, or one for all of them.
  ///
  /// Arrays may be of any integer type or of truth values, which count as 0 and 1.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`, `ggufValueOutOfRange`, `ggufArrayLengthMismatch`.
  public func integers(_ key: String, count: Int) throws(FormatError) -> [Int] {
    let value = try value(key)
    guard case .array(let array) = value else {
      return Array(repeating: try Self.integer(key, value), count: count)
    }
    return try Self.integers(key, Self.array(key, value, array.elementType, count))
  }

  /// As `integers(_:count:)`, or nil when there is no such key.
  public func integers(ifPresent key: String, count: Int) throws(FormatError) -> [Int]? {
    contains(key) ? try integers(key, count: count) : nil
  }

  private static func integer(_ key: String, _ value: GGUFValue) throws(FormatError) -> Int {
    guard value.type.isInteger else { throw mismatch(key, "an integer", value) }
    guard let integer = value.integer else {
      throw FormatError(.ggufValueOutOfRange, subject: .key(key), expected: "at most \(Int.max)", found: "\(value)")
    }
    return integer
  }

  private static func float(_ key: String, _ value: GGUFValue) throws(FormatError) -> Float {
    guard let double = value.double else { throw mismatch(key, "float32", value) }
    return Float(double)
  }

  private static func bool(_ key: String, _ value: GGUFValue) throws(FormatError) -> Bool {
    guard let boolean = value.boolean else { throw mismatch(key, "bool", value) }
    return boolean
  }

  private static func string(_ key: String, _ value: GGUFValue) throws(FormatError) -> String {
    guard let text = value.text else { throw mismatch(key, "string", value) }
    return text
  }

  private static func array(
    _ key: String, _ value: GGUFValue, _ elementType: GGUFValueType?, _ count: Int?
  ) throws(FormatError) -> GGUFArray {
    guard case .array(let array) = value, elementType == nil || array.elementType == elementType else {
      throw mismatch(key, elementType.map { "array of \($0.name)" } ?? "array", value)
    }
    guard count == nil || array.count == count else {
      throw FormatError(
        .ggufArrayLengthMismatch, subject: .key(key), expected: "\(count ?? 0) elements", found: "\(array.count)")
    }
    return array
  }

  private static func integers(_ key: String, _ array: GGUFArray) throws(FormatError) -> [Int] {
    if let bools = array.bools { return bools.map { $0 ? 1 : 0 } }
    guard array.elementType.isInteger else { throw mismatch(key, "array of integers", .array(array)) }
    guard let integers = array.integers else {
      throw FormatError(.ggufValueOutOfRange, subject: .key(key), expected: "at most \(Int.max)")
    }
    return integers
  }

  private static func mismatch(_ key: String, _ expected: String, _ value: GGUFValue) -> FormatError {
    FormatError(.ggufValueTypeMismatch, subject: .key(key), expected: expected, found: value.typeDescription)
  }
}
