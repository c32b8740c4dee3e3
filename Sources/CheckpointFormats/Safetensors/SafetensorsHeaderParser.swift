import PollardBase
import TensorStorage

/// Reads the JSON of a safetensors header into a table, in one pass.
///
/// The accepted language is that of the reference reader, which parses into typed structures: white space around the object is
/// fine, unknown fields of an entry are skipped, `"__metadata__": null` counts as absent, numbers are spelled as plain
/// unsigned integers. Not accepted, though the reference takes them: entries spelled as lists, element types spelled as
/// objects, and one name for two tensors.
struct SafetensorsHeaderParser {
  private(set) var table = SafetensorsTable()
  private(set) var metadata: SafetensorsMetadata?
  private var scanner: JSONScanner
  private var hasMetadata = false
  private var scratch: [UInt8] = []
  private var lastType: (name: [UInt8], type: ElementType) = (Array("F32".utf8), .f32)

  private static let metadataKey = Array("__metadata__".utf8)
  private static let typesByName = ElementType.safetensorsTypes.map { (name: Array($0.name.utf8), type: $0) }
  /// The reference's parser gives up at the 128th open container.
  private static let depthLimit = 127

  /// A parser of bytes that are known to be UTF-8.
  init(_ header: [UInt8]) { scanner = JSONScanner(header, depthLimit: Self.depthLimit) }

  /// Parses the whole header; the table's rows are in the order of the text.
  mutating func parse() throws(FormatError) {
    do throws(FormatError) {
      var more = try scanner.open(UInt8(ascii: "{"))
      while more {
        try parseMember()
        more = try scanner.next(UInt8(ascii: "{"))
      }
      try scanner.expectEnd()
    } catch { throw Self.asHeaderError(error) }
  }

  private mutating func parseMember() throws(FormatError) {
    _ = scanner.peek()
    let keyPosition = scanner.position
    let nameStart = table.nameBytes.count
    try scanner.scanString(into: &table.nameBytes)
    try scanner.expect(UInt8(ascii: ":"))
    let name = table.nameBytes[nameStart...]
    if name.elementsEqual(Self.metadataKey) {
      table.nameBytes.removeSubrange(nameStart...)
      if hasMetadata {
        throw FormatError(.headerMalformed, subject: .key("__metadata__"), at: .byte(keyPosition), found: "it twice")
      }
      hasMetadata = true
      metadata = try parseMetadata()
    } else {
      let nameLength = name.count
      try parseEntry(keyPosition: keyPosition, nameStart: nameStart, nameLength: nameLength)
    }
  }

  private mutating func parseMetadata() throws(FormatError) -> SafetensorsMetadata? {
    if scanner.peek() == UInt8(ascii: "n") {
      try scanner.expectWord("null")
      return nil
    }
    var entries: [(key: String, value: String)] = []
    var more = try scanner.open(UInt8(ascii: "{"))
    while more {
      let key = try scanner.scanString()
      try scanner.expect(UInt8(ascii: ":"))
      entries.append((key, try scanner.scanString()))
      more = try scanner.next(UInt8(ascii: "{"))
    }
    return SafetensorsMetadata(lastOfEqualKeys: entries)
  }

  private mutating func parseEntry(keyPosition: Int, nameStart: Int, nameLength: Int) throws(FormatError) {
    var type: ElementType?
    var shape: Range<Int>?
    var offsets: (begin: UInt64, end: UInt64)?
    var more = try scanner.open(UInt8(ascii: "{"))
    while more {
      _ = scanner.peek()
      let fieldPosition = scanner.position
      scratch.removeAll(keepingCapacity: true)
      try scanner.scanString(into: &scratch)
      try scanner.expect(UInt8(ascii: ":"))
      var isRepeated = false
      if Self.matches(scratch, "dtype") {
        isRepeated = type != nil
        type = try parseType(nameStart: nameStart, nameLength: nameLength)
      } else if Self.matches(scratch, "shape") {
        isRepeated = shape != nil
        shape = try parseShape()
      } else if Self.matches(scratch, "data_offsets") {
        isRepeated = offsets != nil
        offsets = try parseOffsets()
      } else {
        try scanner.skipValue()
      }
      if isRepeated { throw FormatError(.malformedJSON, at: .byte(fieldPosition), found: "the same field twice") }
      more = try scanner.next(UInt8(ascii: "{"))
    }
    guard let type, let shape, let offsets else {
      let missing = type == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
      throw FormatError(
        .headerMalformed, subject: .tensor(name(nameStart, nameLength)), at: .byte(keyPosition),
        expected: "the field \"\(missing)\"", found: "none")
    }
    table.rows.append(
      SafetensorsTable.Row(
        nameStart: UInt32(truncatingIfNeeded: nameStart), nameLength: UInt32(truncatingIfNeeded: nameLength),
        keyPosition: UInt32(truncatingIfNeeded: keyPosition),
        extentStart: UInt32(truncatingIfNeeded: shape.lowerBound), rank: UInt32(truncatingIfNeeded: shape.count),
        type: type, begin: offsets.begin, end: offsets.end))
  }

  private mutating func parseType(nameStart: Int, nameLength: Int) throws(FormatError) -> ElementType {
    _ = scanner.peek()
    let position = scanner.position
    scratch.removeAll(keepingCapacity: true)
    try scanner.scanString(into: &scratch)
    if scratch == lastType.name { return lastType.type }
    guard let match = Self.typesByName.first(where: { $0.name == scratch }) else {
      throw FormatError(
        .unknownElementType, subject: .tensor(name(nameStart, nameLength)), at: .byte(position),
        expected: "one of \(ElementType.safetensorsTypes.map(\.name).joined(separator: ", "))",
        found: "\"\(String(decoding: scratch.prefix(80), as: UTF8.self))\"")
    }
    lastType = match
    return match.type
  }

  private mutating func parseShape() throws(FormatError) -> Range<Int> {
    let start = table.extents.count
    var more = try scanner.open(UInt8(ascii: "["))
    while more {
      table.extents.append(try scanner.scanUnsigned())
      more = try scanner.next(UInt8(ascii: "["))
    }
    return start..<table.extents.count
  }

  private mutating func parseOffsets() throws(FormatError) -> (begin: UInt64, end: UInt64) {
    let twoNumbers = "two numbers, [begin, end]"
    guard try scanner.open(UInt8(ascii: "[")) else { throw scanner.unexpected(twoNumbers) }
    let begin = try scanner.scanUnsigned()
    guard try scanner.next(UInt8(ascii: "[")) else { throw scanner.unexpected(twoNumbers) }
    let end = try scanner.scanUnsigned()
    guard try !scanner.next(UInt8(ascii: "[")) else { throw scanner.unexpected(twoNumbers) }
    return (begin, end)
  }

  private func name(_ start: Int, _ length: Int) -> String {
    String(decoding: table.nameBytes[start..<start + length], as: UTF8.self)
  }

  private static func matches(_ bytes: [UInt8], _ word: StaticString) -> Bool {
    word.withUTF8Buffer { bytes.count == $0.count && bytes.elementsEqual($0) }
  }

  /// JSON problems get the header's code, and places count from the start of the header.
  private static func asHeaderError(_ error: FormatError) -> FormatError {
    var error = error
    if error.code == .malformedJSON || error.code == .nestingTooDeep { error.code = .headerMalformed }
    if case .byte(let offset)? = error.location { error.location = .headerByte(offset) }
    return error
  }

  /// Gives the finished table away.
  consuming func finish() -> (SafetensorsTable, SafetensorsMetadata?) { (table, metadata) }
}
