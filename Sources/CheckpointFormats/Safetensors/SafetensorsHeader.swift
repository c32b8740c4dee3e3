import PollardBase
import TensorStorage

/// A checked safetensors header.
///
/// | bytes   | content                                                     |
/// |---------|-------------------------------------------------------------|
/// | 0 ..< 8 | N, the header's length, unsigned and little-endian          |
/// | 8 ..< 8+N | a JSON object in UTF-8                                    |
/// | 8+N ... | the tensors' bytes, one after the other, without gaps       |
///
/// The checks are those of the reference reader, in its order, each with its own code: `headerTooShort`, `headerTooLarge`,
/// `headerOutsideFile`, `headerNotUTF8`, `headerMalformed` (and `unknownElementType`, `duplicateTensor`); then for each tensor
/// in the order of its bytes `offsetsNotContiguous`, `shapeOverflow`, `misalignedSize`, `sizeMismatch`; last
/// `dataLengthMismatch`. A file of another format that fails one of the first five is named as what it is.
public struct SafetensorsHeader: Sendable {
  /// The tensors in the order of their bytes.
  public let tensors: SafetensorsTable
  /// The strings under `__metadata__`; nil when there are none, which is not the same as an empty object.
  public let metadata: SafetensorsMetadata?
  /// N, the length of the JSON text with its padding.
  public let length: Int

  /// The format's limit for N.
  public static let maximumLength = 100_000_000

  /// Reads and checks the header of a file.
  ///
  /// - Parameters:
  ///   - fileSize: the length of the whole file in bytes.
  ///   - bytes: gives the bytes of a range that lies inside the file.
  /// - Complexity: O(N), and O(t log t) for t tensors that are not in the order of their bytes. Nothing is allocated by a
  ///   size that has not been checked against the file.
  package init(fileSize: Int, bytes: (Range<Int>) throws(FormatError) -> [UInt8]) throws(FormatError) {
    do throws(FormatError) {
      length = try Self.length(fileSize: fileSize, bytes: bytes)
      var parser = try SafetensorsHeaderParser(Self.text(length: length, bytes: bytes))
      try parser.parse()
      var table: SafetensorsTable
      (table, metadata) = parser.finish()
      table.dataStart = 8 + length
      try table.checkNames()
      try table.sortAndCheckRanges(fileSize: fileSize)
      tensors = table
    } catch {
      let prefix = try bytes(0..<min(fileSize, 512))
      throw recognizedFormat(prefix: prefix, fileSize: fileSize, failure: error) ?? error
    }
  }

  private static func length(fileSize: Int, bytes: (Range<Int>) throws(FormatError) -> [UInt8]) throws(FormatError)
    -> Int
  {
    guard fileSize >= 8 else {
      throw FormatError(.headerTooShort, expected: "at least 8 bytes", found: "\(fileSize) bytes")
    }
    let field = try bytes(0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard field <= UInt64(maximumLength) else {
      throw FormatError(
        .headerTooLarge, at: .byte(0), expected: "at most \(maximumLength) bytes", found: "\(field) bytes")
    }
    let length = Int(field)
    guard length <= fileSize - 8 else {
      throw FormatError(
        .headerOutsideFile, at: .byte(0), expected: "a header of \(length) bytes", found: "\(fileSize - 8) bytes")
    }
    return length
  }

  private static func text(length: Int, bytes: (Range<Int>) throws(FormatError) -> [UInt8]) throws(FormatError)
    -> [UInt8]
  {
    let text = try bytes(8..<8 + length)
    if let offset = text.withUnsafeBytes(firstInvalidUTF8Offset) {
      throw FormatError(.headerNotUTF8, at: .headerByte(offset))
    }
    return text
  }
}

extension SafetensorsTable {
  /// Builds the index of names and refuses two tensors of one name.
  mutating func checkNames() throws(FormatError) {
    guard let (first, second) = indexNames() else { return }
    throw FormatError(
      .duplicateTensor, subject: .tensor(name(of: first)),
      at: .bytes(8 + Int(first.keyPosition), 8 + Int(second.keyPosition)))
  }

  /// Puts the rows in the order of their bytes and checks that they fill the data from its start to the file's end.
  mutating func sortAndCheckRanges(fileSize: Int) throws(FormatError) {
    let isSorted = zip(rows, rows.dropFirst()).allSatisfy { !Self.precedes($1, $0) }
    if !isSorted {
      rows.sort(by: Self.precedes)
      _ = indexNames()
    }
    var cursor: UInt64 = 0
    for row in rows {
      try check(row, cursor: cursor)
      cursor = row.end
    }
    guard cursor == UInt64(fileSize - dataStart) else {
      let (end, overflow) = cursor.addingReportingOverflow(UInt64(dataStart))
      throw FormatError(
        .dataLengthMismatch, expected: "\(overflow ? UInt64.max : end) bytes", found: "\(fileSize) bytes",
        remedy: cursor > UInt64(fileSize - dataStart)
          ? "the file is cut off, as after an interrupted download; fetch it again"
          : "something else follows the last tensor; fetch the file again")
    }
  }

  /// The order of the bytes; tensors without bytes keep the order of the header.
  private static func precedes(_ a: Row, _ b: Row) -> Bool {
    (a.begin, a.end, a.keyPosition) < (b.begin, b.end, b.keyPosition)
  }

  private func check(_ row: Row, cursor: UInt64) throws(FormatError) {
    guard row.begin == cursor, row.end >= row.begin else {
      throw failure(
        .offsetsNotContiguous, row, expected: "a range that begins at byte \(cursor) of the data",
        found: "[\(row.begin), \(row.end)]")
    }
    let bits = product(extents(of: row), times: UInt64(row.type.bitCount))
    guard let bits else {
      throw failure(.shapeOverflow, row, expected: "a product below 2^64 bits", found: describedShape(row))
    }
    guard bits % 8 == 0 else {
      throw failure(
        .misalignedSize, row, expected: "a multiple of 8 bits", found: "\(bits) bits for \(describedShape(row))")
    }
    guard bits / 8 == row.end - row.begin else {
      throw failure(
        .sizeMismatch, row, expected: "\(bits / 8) bytes for \(describedShape(row))",
        found: "\(row.end - row.begin) bytes")
    }
    // Strides are products of the other extents, so those must fit too when one extent is zero.
    guard bits != 0 || stridesFit(extents(of: row), bitCount: row.type.bitCount) else {
      throw failure(.shapeOverflow, row, expected: "strides below 2^63 bits", found: describedShape(row))
    }
  }

  private func product(_ extents: ArraySlice<UInt64>, times last: UInt64) -> UInt64? {
    var count: UInt64 = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      count = product
    }
    let (product, overflow) = count.multipliedReportingOverflow(by: last)
    return overflow ? nil : product
  }

  private func stridesFit(_ extents: ArraySlice<UInt64>, bitCount: Int) -> Bool {
    var count = bitCount
    for extent in extents where extent != 0 {
      guard let extent = Int(exactly: extent) else { return false }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow { return false }
      count = product
    }
    return true
  }

  private func describedShape(_ row: Row) -> String {
    let extents = extents(of: row)
    let listed = extents.prefix(16).map(String.init).joined(separator: ", ")
    return "\(row.type)[\(listed)\(extents.count > 16 ? ", …" : "")]"
  }

  private func failure(_ code: DiagnosticCode<FormatDomain>, _ row: Row, expected: String, found: String) -> FormatError
  {
    FormatError(
      code, subject: .tensor(name(of: row)), at: .headerByte(Int(row.keyPosition)), expected: expected, found: found)
  }
}
