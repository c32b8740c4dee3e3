import PollardBase
import TensorStorage

/// The header of a `.npy` array.
///
/// | bytes | content                                                        |
/// |-------|----------------------------------------------------------------|
/// | 0 ..< 6 | `93` and `NUMPY`                                              |
/// | 6, 7  | major and minor version: 1.0, 2.0 or 3.0                        |
/// | 8 ... | length of the text: 2 bytes in version 1, else 4; little-endian |
/// | then  | a Python dictionary with `descr`, `fortran_order` and `shape`, blanks, a line's end |
/// | then  | the elements                                                    |
package struct NumPyHeader: Sendable, Hashable {
  /// The element type.
  package let type: ElementType
  /// Whether elements are stored with their first byte last.
  package let isBigEndian: Bool
  /// Whether the first index varies fastest.
  package let isFortranOrder: Bool
  /// The extents, outermost first.
  package let shape: Shape
  /// Where the elements begin.
  package let dataOffset: Int

  /// Longest header text that is read; NumPy itself reads 10 000 bytes.
  package static let lengthLimit = 1 << 16

  /// Whether bytes begin like an array.
  package static func recognizes(_ prefix: [UInt8]) -> Bool { prefix.starts(with: [0x93] + Array("NUMPY".utf8)) }

  /// Reads a header.
  ///
  /// - Parameter bytes: the first bytes of the array, at least `lengthLimit` and 12 of them or all.
  /// - Throws: `numpyMalformed`; `numpyUnsupported` for objects, which are pickles, and other types that are no numbers.
  package init(_ bytes: [UInt8]) throws(FormatError) {
    let fields = LittleEndianFields(bytes: bytes)
    guard Self.recognizes(bytes), bytes.count >= 12 else {
      throw FormatError(.numpyMalformed, expected: "a NumPy array", found: "other bytes")
    }
    guard (1...3).contains(bytes[6]), bytes[7] == 0 else {
      throw FormatError(
        .numpyMalformed, at: .byte(6), expected: "version 1.0, 2.0 or 3.0", found: "\(bytes[6]).\(bytes[7])")
    }
    let start = bytes[6] == 1 ? 10 : 12
    guard let length = fields.integer(at: 8, size: start - 8), length <= Self.lengthLimit, length <= bytes.count - start
    else {
      throw FormatError(
        .numpyMalformed, at: .byte(8), expected: "a header of at most \(Self.lengthLimit) bytes inside the file",
        found: "another length")
    }
    dataOffset = start + length
    var reader = LiteralReader(bytes[start..<dataOffset])
    guard let members = reader.dictionary(), Set(members.keys) == ["descr", "fortran_order", "shape"] else {
      throw FormatError(
        .numpyMalformed, at: .byte(start), expected: "a dictionary of descr, fortran_order and shape",
        found: "another text")
    }
    guard case .truth(let fortran)? = members["fortran_order"], case .numbers(let extents)? = members["shape"] else {
      throw FormatError(
        .numpyMalformed, at: .byte(start), expected: "fortran_order True or False and shape a tuple of whole numbers",
        found: "others")
    }
    guard case .text(let code)? = members["descr"] else {
      throw FormatError(.numpyUnsupported, at: .byte(start), expected: "plain numbers", found: "an array of records")
    }
    (type, isBigEndian) = try Self.type(code)
    guard let shape = Shape(checking: extents, of: type) else {
      throw FormatError(.shapeOverflow, at: .byte(start), found: "\(extents)")
    }
    self.shape = shape
    isFortranOrder = fortran
  }

  /// NumPy's letters for kind and size.
  static let codes: [(code: String, type: ElementType)] = [
    ("b1", .bool), ("i1", .i8), ("i2", .i16), ("i4", .i32), ("i8", .i64), ("u1", .u8), ("u2", .u16), ("u4", .u32),
    ("u8", .u64), ("f2", .f16), ("f4", .f32), ("f8", .f64), ("c8", .c64), ("c16", .c128),
  ]

  private static func type(_ code: String) throws(FormatError) -> (ElementType, isBigEndian: Bool) {
    func refused(_ found: String, _ remedy: String? = nil) -> FormatError {
      FormatError(.numpyUnsupported, expected: "numbers or truth values", found: found, remedy: remedy)
    }
    guard let order = code.first, "<>|=".contains(order) else { throw refused("the type \(code)") }
    let kind = String(code.dropFirst())
    if let found = codes.first(where: { $0.code == kind }) {
      guard order != ">" || ![.c64, .c128].contains(found.type) else { throw refused("big-endian complex numbers") }
      return (found.type, order == ">")
    }
    switch kind.first {
    case "O": throw refused("Python objects", "save an array of numbers")
    case "V":
      throw refused(
        "elements of \(kind.dropFirst()) bytes without a type, as bfloat16 and float8 are saved", "save them as float32"
      )
    default: throw refused("the type \(code)")
    }
  }
}

/// Reads the few kinds of Python literals that a header has.
private struct LiteralReader {
  enum Value {
    case text(String)
    case truth(Bool)
    case numbers([Int])
    /// A list, as records have it.
    case other
  }

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }

  /// A dictionary with nothing but blanks after it; nil for any other text, and where a key occurs twice.
  mutating func dictionary() -> [String: Value]? {
    guard take("{") else { return nil }
    var members: [String: Value] = [:]
    while !take("}") {
      guard let key = text(), take(":"), let value = value(), members.updateValue(value, forKey: key) == nil else {
        return nil
      }
      if take(",") { continue }
      guard take("}") else { return nil }
      break
    }
    skipBlanks()
    return position == bytes.count ? members : nil
  }

  private mutating func value() -> Value? {
    if take("True") { return .truth(true) }
    if take("False") { return .truth(false) }
    if take("(") { return numbers().map { .numbers($0) } }
    if take("[") { return skipList() ? .other : nil }
    return text().map { .text($0) }
  }

  private mutating func numbers() -> [Int]? {
    var numbers: [Int] = []
    while !take(")") {
      guard let number = number() else { return nil }
      numbers.append(number)
      if take(",") { continue }
      guard numbers.count > 1, take(")") else { return nil }
      break
    }
    return numbers
  }

  /// Digits, with the L that Python 2 puts after them.
  private mutating func number() -> Int? {
    skipBlanks()
    let start = position
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
    guard start < position, let number = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
      return nil
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: "L") { position += 1 }
    return number
  }

  private mutating func text() -> String? {
    skipBlanks()
    guard position < bytes.count, [UInt8(ascii: "'"), UInt8(ascii: "\"")].contains(bytes[position]) else { return nil }
    let quote = bytes[position]
    guard let end = bytes[(position + 1)...].firstIndex(of: quote) else { return nil }
    defer { position = end + 1 }
    let content = bytes[position + 1..<end]
    return content.contains(UInt8(ascii: "\\")) ? nil : String(decoding: content, as: UTF8.self)
  }

  /// Passes over a list of anything, by its brackets.
  private mutating func skipList() -> Bool {
    var depth = 1
    while position < bytes.count, depth > 0 {
      if bytes[position] == UInt8(ascii: "[") { depth += 1 }
      if bytes[position] == UInt8(ascii: "]") { depth -= 1 }
      position += 1
    }
    return depth == 0
  }

  private mutating func take(_ word: String) -> Bool {
    skipBlanks()
    guard bytes[position...].starts(with: word.utf8) else { return false }
    position += word.utf8.count
    return true
  }

  private mutating func skipBlanks() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }
}
