import PollardBase

/// A checked GGUF header.
///
/// | field                | content                                                                                    |
/// |----------------------|--------------------------------------------------------------------------------------------|
/// | four bytes           | `GGUF`, in either byte order                                                               |
/// | u32                  | the version, 1 to 3; its low half is zero when the byte order is the other one             |
/// | i64, i64             | the number of tensors, the number of keys                                                  |
/// | for each key         | name, u32 type, value; an array has u32 element type and u64 count before its elements     |
/// | for each tensor      | name, u32 number of axes, u64 for each extent (innermost first), u32 type, u64 offset      |
/// | zeros                | up to a multiple of the alignment, when there are tensors                                  |
/// | for each tensor      | its bytes, and zeros up to a multiple of the alignment                                     |
///
/// A name or string is a u64 length and its bytes. Version 1 has u32 for lengths, counts and extents. Offsets count from the
/// first tensor's byte on. The rules are those of llama.cpp's reader; `formats/gguf.md` lists them with their codes.
struct GGUFHeader: Sendable {
  let version: Int
  let byteOrder: GGUFByteOrder
  let metadata: GGUFMetadata
  let alignment: Int
  let tensors: [GGUFTensor]
  /// Where the first tensor begins, or would begin.
  let dataStart: Int
  /// Whether zeros follow the last tensor, or the header of a file without tensors, up to a multiple of the alignment.
  let isEndPadded: Bool

  static let defaultAlignment = 32
  static let alignmentKey = "general.alignment"
  static let maximumTensorNameLength = 63
  static let maximumRank = 4

  /// Reads and checks the header of a file.
  ///
  /// - Complexity: O(size of the header); the bytes of tensors are not read.
  init(fileSize: Int, bytes: @escaping GGUFReader.Bytes) throws(FormatError) {
    var reader = GGUFReader(fileSize: fileSize, bytes: bytes)
    version = try Self.readVersion(&reader)
    byteOrder = reader.byteOrder
    let (tensorCount, keyCount) = try Self.readCounts(&reader)
    metadata = try Self.readMetadata(keyCount, &reader)
    alignment = try Self.alignment(of: metadata)
    let declared = try Self.readTensors(tensorCount, &reader)
    let end = reader.position
    (dataStart, tensors) = try Self.place(declared, after: end, alignment: alignment, fileSize: fileSize, byteOrder)
    let base = tensors.isEmpty ? 0 : dataStart
    let room = fileSize - base
    let paddedEnd = padded((tensors.last?.byteRange.upperBound ?? end) - base, to: alignment)
    isEndPadded = (paddedEnd ?? Int.max) <= room
  }

  private static func readVersion(_ reader: inout GGUFReader) throws(FormatError) -> Int {
    let magic = reader.remaining >= 4 ? try reader.take(4, for: "the letters GGUF") : []
    guard magic == Array("GGUF".utf8) else {
      throw FormatError(
        .notGGUF, at: .byte(0), expected: "the letters GGUF",
        found: magic.isEmpty ? "a file of \(reader.fileSize) bytes" : "\"\(String(decoding: magic, as: UTF8.self))\"")
    }
    let field = try reader.integer(UInt32.self, for: "the version")
    var version = field
    if field & 0xFFFF == 0, field != 0 {
      reader.byteOrder = .big
      version = field.byteSwapped
    }
    guard version == 3 || (reader.byteOrder == .little && (1...2).contains(version)) else {
      throw FormatError(
        .ggufVersionUnsupported, at: .byte(4),
        expected: reader.byteOrder == .little ? "1, 2 or 3" : "3 in a big-endian file", found: "\(version)")
    }
    reader.hasShortCounts = version == 1
    return Int(version)
  }

  private static func readCounts(_ reader: inout GGUFReader) throws(FormatError) -> (tensors: Int, keys: Int) {
    let counts = [
      ("tensors", reader.position, try reader.count(for: "the number of tensors")),
      ("keys", reader.position, try reader.count(for: "the number of keys")),
    ]
    // The shortest key and the shortest tensor: an empty or one-letter name, a type, the least content.
    let lengthSize = reader.hasShortCounts ? 4 : 8
    let least = [lengthSize + 16, lengthSize + 6]
    for (count, size) in zip(counts, least) where count.2 > UInt64(reader.remaining / size) {
      throw FormatError(
        .ggufCountImpossible, at: .byte(count.1),
        expected: "at most \(reader.remaining / size) \(count.0) in \(reader.remaining) bytes",
        found: count.2 > UInt64(Int64.max) && !reader.hasShortCounts
          ? "\(Int64(bitPattern: count.2))" : "\(count.2)")
    }
    return (Int(counts[0].2), Int(counts[1].2))
  }

  static func alignment(of metadata: GGUFMetadata) throws(FormatError) -> Int {
    guard let value = metadata[alignmentKey] else { return defaultAlignment }
    guard case .uint32(let alignment) = value else {
      throw FormatError(
        .ggufAlignmentType, subject: .key(alignmentKey), expected: "uint32", found: value.typeDescription)
    }
    guard alignment.nonzeroBitCount == 1 else {
      throw FormatError(
        .ggufAlignmentInvalid, subject: .key(alignmentKey), expected: "a power of two", found: "\(alignment)")
    }
    return Int(alignment)
  }
}

/// A size rounded up to a multiple of a power of two, or nil when that does not fit.
func padded(_ size: Int, to alignment: Int) -> Int? {
  let (sum, overflow) = size.addingReportingOverflow(alignment - 1)
  return overflow ? nil : sum & ~(alignment - 1)
}
