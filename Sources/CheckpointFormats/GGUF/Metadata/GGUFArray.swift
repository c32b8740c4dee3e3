import PollardBase

/// An array of metadata values of one type, held as the bytes that a little-endian file has.
///
/// A vocabulary of a quarter of a million tokens is one block of memory. Strings are found through the position of every 32nd.
///
///     for token in tokens.strings { … }
///     let third = tokens.string(at: 2)
public struct GGUFArray: Sendable, Hashable {
  /// The type of the elements; never `array`.
  public let elementType: GGUFValueType
  /// The number of elements.
  public let count: Int
  /// The elements as a little-endian file of version 2 or 3 has them: numbers one after the other; strings each with eight
  /// bytes of length before it.
  public let bytes: [UInt8]
  /// The positions in `bytes` of every `anchorInterval`-th string.
  private let anchors: [Int]

  static let anchorInterval = 32

  /// Elements in the form of `bytes`, which the reader has checked.
  init(checked bytes: [UInt8], elementType: GGUFValueType, count: Int, anchors: [Int]) {
    self.elementType = elementType
    self.count = count
    self.bytes = bytes
    self.anchors = anchors
  }

  private init<Value: FixedWidthInteger>(integers values: [Value], as elementType: GGUFValueType) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * MemoryLayout<Value>.size)
    for value in values { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    self.init(checked: bytes, elementType: elementType, count: values.count, anchors: [])
  }

  /// An array of `uint8`.
  public init(_ values: [UInt8]) { self.init(integers: values, as: .uint8) }
  /// An array of `int8`.
  public init(_ values: [Int8]) { self.init(integers: values, as: .int8) }
  /// An array of `uint16`.
  public init(_ values: [UInt16]) { self.init(integers: values, as: .uint16) }
  /// An array of `int16`.
  public init(_ values: [Int16]) { self.init(integers: values, as: .int16) }
  /// An array of `uint32`.
  public init(_ values: [UInt32]) { self.init(integers: values, as: .uint32) }
  /// An array of `int32`.
  public init(_ values: [Int32]) { self.init(integers: values, as: .int32) }
  /// An array of `uint64`.
  public init(_ values: [UInt64]) { self.init(integers: values, as: .uint64) }
  /// An array of `int64`.
  public init(_ values: [Int64]) { self.init(integers: values, as: .int64) }
  /// An array of `float32`.
  public init(_ values: [Float]) { self.init(integers: values.map(\.bitPattern), as: .float32) }
  /// An array of `float64`.
  public init(_ values: [Double]) { self.init(integers: values.map(\.bitPattern), as: .float64) }
  /// An array of `bool`.
  public init(_ values: [Bool]) { self.init(integers: values.map { $0 ? 1 as UInt8 : 0 }, as: .bool) }
  /// An array of `string`, of UTF-8.
  public init(_ values: [String]) { self.init(strings: values.lazy.map(\.utf8)) }
  /// An array of `string`, of any bytes.
  public init(_ values: [ByteString]) { self.init(strings: values.lazy.map(\.bytes)) }

  private init(strings: some Collection<some Collection<UInt8>>) {
    var bytes: [UInt8] = []
    var anchors: [Int] = []
    for (index, text) in strings.enumerated() {
      if index % Self.anchorInterval == 0 { anchors.append(bytes.count) }
      withUnsafeBytes(of: UInt64(text.count).littleEndian) { bytes.append(contentsOf: $0) }
      bytes.append(contentsOf: text)
    }
    self.init(checked: bytes, elementType: .string, count: strings.count, anchors: anchors)
  }

  /// An array of integers in a given type, or nil when one does not fit or the type holds no whole numbers.
  public init?(_ values: [Int], as elementType: GGUFValueType) {
    func exactly<Value: FixedWidthInteger>(_ type: Value.Type) -> [Value]? {
      let converted = values.compactMap { Value(exactly: $0) }
      return converted.count == values.count ? converted : nil
    }
    switch elementType {
    case .uint8: guard let list = exactly(UInt8.self) else { return nil }; self.init(list)
    case .int8: guard let list = exactly(Int8.self) else { return nil }; self.init(list)
    case .uint16: guard let list = exactly(UInt16.self) else { return nil }; self.init(list)
    case .int16: guard let list = exactly(Int16.self) else { return nil }; self.init(list)
    case .uint32: guard let list = exactly(UInt32.self) else { return nil }; self.init(list)
    case .int32: guard let list = exactly(Int32.self) else { return nil }; self.init(list)
    case .uint64: guard let list = exactly(UInt64.self) else { return nil }; self.init(list)
    case .int64: guard let list = exactly(Int64.self) else { return nil }; self.init(list)
    case .float32, .float64, .bool, .string, .array: return nil
    }
  }

  /// Equality of type, number and bytes; floating-point numbers are told apart by their bits.
  public static func == (a: Self, b: Self) -> Bool {
    a.elementType == b.elementType && a.count == b.count && a.bytes == b.bytes
  }

  /// Hashes type and number.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(elementType)
    hasher.combine(count)
    bytes.withUnsafeBytes { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0.prefix(256))) }
  }
}

// Elements
extension GGUFArray {
  /// The element at a position.
  ///
  /// - Complexity: O(1).
  public subscript(index: Int) -> GGUFValue {
    precondition(index >= 0 && index < count, "the element exists")
    switch elementType {
    case .uint8: return .uint8(load(index))
    case .int8: return .int8(load(index))
    case .uint16: return .uint16(load(index))
    case .int16: return .int16(load(index))
    case .uint32: return .uint32(load(index))
    case .int32: return .int32(load(index))
    case .uint64: return .uint64(load(index))
    case .int64: return .int64(load(index))
    case .float32: return .float32(Float(bitPattern: load(index)))
    case .float64: return .float64(Double(bitPattern: load(index)))
    case .bool: return .bool(load(index) as UInt8 != 0)
    case .string: return .string(byteString(at: index))
    case .array: preconditionFailure("arrays do not hold arrays")
    }
  }

  /// The bytes of the string at a position.
  ///
  /// - Complexity: O(1), and O(length) for the copy.
  public func byteString(at index: Int) -> ByteString { ByteString(Array(bytes[stringRange(at: index)])) }

  /// The string at a position; invalid UTF-8 shows as replacement characters.
  public func string(at index: Int) -> String { String(decoding: bytes[stringRange(at: index)], as: UTF8.self) }

  /// Calls a body with the bytes of every string in order, without copying them.
  ///
  /// - Precondition: the elements are strings.
  public func forEachString(_ body: (_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Void) {
    precondition(elementType == .string, "the elements are strings")
    bytes.withUnsafeBytes { all in
      var position = 0
      for index in 0..<count {
        let length = Int(UInt64(littleEndian: all.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
        body(index, UnsafeRawBufferPointer(rebasing: all[position + 8..<position + 8 + length]))
        position += 8 + length
      }
    }
  }

  /// All strings, or nil when the elements are not strings; invalid UTF-8 shows as replacement characters.
  public var strings: [String]? {
    guard elementType == .string else { return nil }
    var strings: [String] = []
    strings.reserveCapacity(count)
    forEachString { _, bytes in strings.append(String(decoding: bytes, as: UTF8.self)) }
    return strings
  }

  /// All strings with their exact bytes, or nil when the elements are not strings.
  public var byteStrings: [ByteString]? {
    guard elementType == .string else { return nil }
    var strings: [ByteString] = []
    strings.reserveCapacity(count)
    forEachString { _, bytes in strings.append(ByteString(Array(bytes))) }
    return strings
  }

  /// The position of the first string that is not UTF-8, or nil when there is none.
  public var firstInvalidString: Int? {
    guard elementType == .string else { return nil }
    var first: Int?
    forEachString { index, bytes in if first == nil, firstInvalidUTF8Offset(bytes) != nil { first = index } }
    return first
  }

  /// All whole numbers, or nil when the elements are none or one does not fit.
  public var integers: [Int]? {
    guard elementType.isInteger else { return nil }
    let values = (0..<count).compactMap { self[$0].integer }
    return values.count == count ? values : nil
  }

  /// All floating-point numbers as single precision, or nil when the elements are none.
  ///
  /// Double precision is rounded.
  public var floats: [Float]? {
    switch elementType {
    case .float32: (0..<count).map { Float(bitPattern: load($0)) }
    case .float64: (0..<count).map { Float(Double(bitPattern: load($0))) }
    default: nil
    }
  }

  /// All truth values, or nil when the elements are none.
  public var bools: [Bool]? { elementType == .bool ? bytes.map { $0 != 0 } : nil }

  private func load<Value: FixedWidthInteger>(_ index: Int) -> Value {
    bytes.withUnsafeBytes {
      Value(littleEndian: $0.loadUnaligned(fromByteOffset: index * MemoryLayout<Value>.size, as: Value.self))
    }
  }

  private func stringRange(at index: Int) -> Range<Int> {
    precondition(elementType == .string, "the elements are strings")
    precondition(index >= 0 && index < count, "the element exists")
    return bytes.withUnsafeBytes { all in
      var position = anchors[index / Self.anchorInterval]
      for _ in 0..<index % Self.anchorInterval {
        position += 8 + Int(UInt64(littleEndian: all.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
      }
      let length = Int(UInt64(littleEndian: all.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
      return position + 8..<position + 8 + length
    }
  }
}
