import PollardBase
import TensorStorage

extension GGUFWriter {
  /// More would be for nothing but empty space.
  static let maximumAlignment = 1 << 20

  /// The names of so many files.
  static func names(_ fileName: String, count: Int) throws(FormatError) -> [String] {
    if count == 1 { return [fileName] }
    guard count <= Int(UInt16.max) else {
      throw FormatError(
        .ggufSplitCount, file: fileName, expected: "at most \(UInt16.max) files", found: "\(count)",
        remedy: "choose larger files")
    }
    let stem = fileName.hasSuffix(".gguf") ? String(fileName.dropLast(5)) : fileName
    return (1...count).map { GGUFSplitName(stem: stem, number: $0, count: count).path }
  }

  static func check(_ options: Options) throws(FormatError) {
    let versions = options.byteOrder == .little ? 1...3 : 3...3
    guard versions.contains(options.version) else {
      throw FormatError(
        .ggufVersionUnsupported, expected: options.byteOrder == .little ? "1, 2 or 3" : "3 for big-endian files",
        found: "\(options.version)")
    }
  }

  static func check(_ tensor: Tensor, _ options: Options) throws(FormatError) {
    let byteCount: Int
    do throws(FormatError) { byteCount = try GGUFHeader.byteCount(of: tensor.type, extents: tensor.extents) } catch {
      var named = error
      named.subject = .tensor(tensor.name)
      throw named
    }
    precondition(tensor.weight.byteCount == byteCount, "the weight has the bytes that type and extents ask for")
    if options.byteOrder == .big, let format = tensor.type.blockFormat, format.swappedFields == nil {
      throw FormatError(
        .ggufByteOrderUndefined, subject: .tensor(tensor.name),
        expected: "a type whose byte order is defined, such as Q8_0 or Q4_K", found: "\(format)")
    }
  }

  /// The alignment to write with, and the metadata that say so.
  static func align(
    _ metadata: GGUFMetadata, _ options: Options
  ) throws(FormatError) -> (alignment: Int, metadata: GGUFMetadata) {
    let stated = try GGUFHeader.alignment(of: metadata)
    let alignment = options.alignment ?? max(stated, GGUFHeader.defaultAlignment)
    guard alignment.nonzeroBitCount == 1, (GGUFHeader.defaultAlignment...maximumAlignment).contains(alignment) else {
      throw FormatError(
        .ggufAlignmentInvalid, subject: .key(GGUFHeader.alignmentKey),
        expected: "a power of two from \(GGUFHeader.defaultAlignment) to \(maximumAlignment)", found: "\(alignment)")
    }
    var aligned = metadata
    if alignment != stated { aligned.set(GGUFHeader.alignmentKey, to: .uint32(UInt32(alignment))) }
    return (alignment, aligned)
  }

  /// The keys and values of one of several files.
  static func metadata(
    _ metadata: GGUFMetadata, part: Int, of count: Int, tensorCount: Int, _ alignment: Int
  ) -> GGUFMetadata {
    var result = part == 0 ? metadata : GGUFMetadata()
    if part > 0, alignment != GGUFHeader.defaultAlignment {
      result.append(GGUFHeader.alignmentKey, .uint32(UInt32(alignment)))
    }
    if count == 1 {
      // What merging tools leave behind says that there is one file, and may stay.
      guard let stated = result[GGUFSplitKey.count]?.integer, stated > 1 else { return result }
      for key in GGUFSplitKey.all { result.remove(key) }
    } else {
      result.append(GGUFSplitKey.number, .uint16(UInt16(part)))
      result.append(GGUFSplitKey.count, .uint16(UInt16(count)))
      result.append(GGUFSplitKey.tensorCount, .int32(Int32(clamping: tensorCount)))
    }
    return result
  }
}
