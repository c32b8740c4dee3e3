extension JSONValue {
  /// Parses one JSON text (RFC 8259).
  ///
  /// Refused are: anything but one value, byte-order marks, comments, trailing commas, raw control characters, half surrogate
  /// pairs, keys that occur twice in an object, and more than 128 nested containers.
  ///
  /// - Parameter allowingNonFinite: accept Python's `NaN`, `Infinity` and `-Infinity` as numbers.
  /// - Throws: `notUTF8`, `malformedJSON`, `duplicateKey` or `nestingTooDeep`, with the byte.
  /// - Complexity: O(n).
  public init(parsing bytes: [UInt8], allowingNonFinite: Bool = false) throws(FormatError) {
    if let offset = bytes.withUnsafeBytes(firstInvalidUTF8Offset) {
      throw FormatError(.notUTF8, at: .byte(offset))
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      throw FormatError(
        .malformedJSON, at: .byte(0), expected: "a value", found: "a byte-order mark",
        remedy: "save the file as UTF-8 without a byte-order mark")
    }
    var scanner = JSONScanner(bytes, allowingNonFinite: allowingNonFinite)
    self = try Self.parse(&scanner)
    try scanner.expectEnd()
  }

  /// Parses one JSON text.
  public init(parsing text: String, allowingNonFinite: Bool = false) throws(FormatError) {
    try self.init(parsing: Array(text.utf8), allowingNonFinite: allowingNonFinite)
  }

  /// Parses a whole file.
  ///
  /// - Parameter limit: the size in bytes above which a file is refused unread.
  /// - Throws: what reading and parsing throw, with the file's path; `malformedJSON` above the limit.
  public init(file path: String, allowingNonFinite: Bool = false, limit: Int = 256 << 20) throws(FormatError) {
    let source = try FileSource(path: path)
    guard source.size <= limit else {
      throw FormatError(
        .malformedJSON, file: path, expected: "at most \(limit) bytes", found: "\(source.size) bytes")
    }
    do throws(FormatError) {
      try self.init(parsing: source.bytes(0..<source.size), allowingNonFinite: allowingNonFinite)
    } catch { throw error.inFile(path) }
  }

  private static func parse(_ scanner: inout JSONScanner) throws(FormatError) -> JSONValue {
    switch scanner.peek() {
    case UInt8(ascii: "{"): return try parseObject(&scanner)
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      var more = try scanner.open(UInt8(ascii: "["))
      while more {
        elements.append(try parse(&scanner))
        more = try scanner.next(UInt8(ascii: "["))
      }
      return .array(elements)
    case UInt8(ascii: "\""): return .string(try scanner.scanString())
    case UInt8(ascii: "n"):
      try scanner.expectWord("null")
      return .null
    case UInt8(ascii: "t"):
      try scanner.expectWord("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try scanner.expectWord("false")
      return .bool(false)
    default:
      let range = try scanner.scanNumber()
      return .number(JSONNumber(spelling: String(decoding: scanner.bytes[range], as: UTF8.self)))
    }
  }

  private static func parseObject(_ scanner: inout JSONScanner) throws(FormatError) -> JSONValue {
    var object = JSONObject()
    var keyPositions: [Int] = []
    var more = try scanner.open(UInt8(ascii: "{"))
    while more {
      _ = scanner.peek()
      let keyPosition = scanner.position
      let key = try scanner.scanString()
      try scanner.expect(UInt8(ascii: ":"))
      let value = try parse(&scanner)
      if let first = object.append(key, value) {
        throw FormatError(.duplicateKey, subject: .key(key), at: .bytes(keyPositions[first], keyPosition))
      }
      keyPositions.append(keyPosition)
      more = try scanner.next(UInt8(ascii: "{"))
    }
    return .object(object)
  }
}
