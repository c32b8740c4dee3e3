import PollardBase

/// A number as the typed fields of a tensor hold it.
public protocol ONNXElement: Sendable, Hashable {
  /// The bytes of one number in a packed record, or nil for varints.
  static var fixedByteCount: Int? { get }
  /// The number of a varint, cut to its width, or of the bits of a fixed one.
  init(wireBits: UInt64)
  /// The varint, sign-extended, or the bits.
  var wireBits: UInt64 { get }
}

extension Int32: ONNXElement {
  /// Varint.
  public static var fixedByteCount: Int? { nil }
  /// The low 32 bits.
  public init(wireBits: UInt64) { self.init(truncatingIfNeeded: wireBits) }
  /// Sign-extended to 64 bits.
  public var wireBits: UInt64 { UInt64(bitPattern: Int64(self)) }
}

extension Int64: ONNXElement {
  /// Varint.
  public static var fixedByteCount: Int? { nil }
  /// Two's complement.
  public init(wireBits: UInt64) { self.init(bitPattern: wireBits) }
  /// Two's complement.
  public var wireBits: UInt64 { UInt64(bitPattern: self) }
}

extension UInt64: ONNXElement {
  /// Varint.
  public static var fixedByteCount: Int? { nil }
  /// The value.
  public init(wireBits: UInt64) { self = wireBits }
  /// The value.
  public var wireBits: UInt64 { self }
}

extension Float: ONNXElement {
  /// Four bytes.
  public static var fixedByteCount: Int? { 4 }
  /// IEEE 754 bits.
  public init(wireBits: UInt64) { self.init(bitPattern: UInt32(truncatingIfNeeded: wireBits)) }
  /// IEEE 754 bits.
  public var wireBits: UInt64 { UInt64(bitPattern) }
}

extension Double: ONNXElement {
  /// Eight bytes.
  public static var fixedByteCount: Int? { 8 }
  /// IEEE 754 bits.
  public init(wireBits: UInt64) { self.init(bitPattern: wireBits) }
  /// IEEE 754 bits.
  public var wireBits: UInt64 { bitPattern }
}

/// The numbers of a tensor's typed field; those that arrived packed stay in the file until they are asked for.
public struct ONNXElements<Element: ONNXElement>: Sendable {
  enum Run: Sendable {
    case packed(ONNXSlice)
    case values([Element])
  }

  /// In the order of the file. No run is empty.
  var runs: [Run] = []

  /// No numbers.
  public init() {}

  /// Numbers in memory.
  public init(_ values: [Element]) {
    if !values.isEmpty { runs = [.values(values)] }
  }

  /// Whether there are no numbers.
  public var isEmpty: Bool { runs.isEmpty }

  /// The bytes of the numbers, one after the other and little-endian, when they are of fixed width and lie together.
  public var contiguousBytes: ONNXSlice? {
    guard Element.fixedByteCount != nil, runs.count == 1, case .packed(let slice) = runs[0] else { return nil }
    return slice
  }

  /// The numbers.
  ///
  /// - Throws: `protobufMalformed` with the byte, when a packed record ends inside a number.
  /// - Complexity: O(bytes); what arrived packed is read and decoded.
  public func values() throws(FormatError) -> [Element] {
    var values: [Element] = []
    for run in runs {
      switch run {
      case .values(let run): values.append(contentsOf: run)
      case .packed(let slice):
        try Self.decode(slice, with: WireReader(slice.source, span: slice.count)) { values.append($0) }
      }
    }
    return values
  }

  /// The number of numbers.
  ///
  /// - Complexity: as `values()` for varints, O(1) otherwise.
  public func count() throws(FormatError) -> Int {
    var count = 0
    for run in runs {
      switch run {
      case .values(let run): count += run.count
      case .packed(let slice):
        if let byteCount = Element.fixedByteCount {
          count += slice.count / byteCount
        } else {
          try Self.decode(slice, with: WireReader(slice.source, span: slice.count)) { _ in count += 1 }
        }
      }
    }
    return count
  }

  static func decode(_ slice: ONNXSlice, with reader: WireReader, _ body: (Element) -> Void) throws(FormatError) {
    var position = slice.range.lowerBound
    let limit = slice.range.upperBound
    if let byteCount = Element.fixedByteCount {
      guard slice.count % byteCount == 0 else {
        throw reader.malformed(at: position, expected: "a multiple of \(byteCount) bytes", found: "\(slice.count)")
      }
      while position < limit { body(Element(wireBits: try reader.fixed(byteCount, at: &position, limit: limit))) }
    } else {
      while position < limit { body(Element(wireBits: try reader.varint(at: &position, limit: limit))) }
    }
  }
}
