import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A zip archive whose directory has been read and checked; the entries stay on disk.
///
/// Entries are plain bytes of the file or deflated. Archives above 4 GB (ZIP64), padded local headers and data descriptors are
/// understood; sizes and checksums are those of the central directory. Names are compared byte by byte, and none occurs twice.
public struct ZipArchive: Sendable {
  /// The file.
  public let source: FileSource
  /// The entries in the order of the directory.
  public let entries: [ZipEntry]
  private let positions: [ExactString: Int]

  /// Reads the directory of a file.
  ///
  /// - Throws: `zipMalformed`, `zipUnsupported`, `zipHostile`, with the path.
  /// - Complexity: O(size of the directory).
  public init(_ source: FileSource) throws(FormatError) {
    self.source = source
    do throws(FormatError) {
      entries = try ZipDirectory(source).entries(of: source)
      var positions: [ExactString: Int] = [:]
      positions.reserveCapacity(entries.count)
      for (position, entry) in entries.enumerated()
      where positions.updateValue(position, forKey: ExactString(entry.name)) != nil {
        throw FormatError(.zipHostile, subject: .key(entry.name), expected: "every name once", found: "it twice")
      }
      self.positions = positions
    } catch { throw error.inFile(source.path) }
  }

  /// The entry of a name.
  public subscript(name: String) -> ZipEntry? { positions[ExactString(name)].map { entries[$0] } }

  /// Where the packed bytes of an entry lie in the file.
  ///
  /// - Throws: `zipMalformed` when the entry's own header is not where, or not as, the directory says.
  public func dataRange(of entry: ZipEntry) throws(FormatError) -> Range<Int> {
    let start = entry.headerOffset
    let header = LittleEndianFields(bytes: try source.bytes(start..<start + 30))
    guard header.number(at: 0, size: 4) == 0x0403_4B50, let nameLength = header.integer(at: 26, size: 2),
      let extraLength = header.integer(at: 28, size: 2), header.number(at: 8, size: 2) == UInt64(entry.method.rawValue),
      nameLength == entry.name.utf8.count, start + 30 + nameLength <= entry.limit
    else { throw malformed(entry, "a local header like the directory's entry") }
    let name = try source.bytes(start + 30..<start + 30 + nameLength)
    let data = start + 30 + nameLength + extraLength
    guard name.elementsEqual(entry.name.utf8), data <= entry.limit, entry.packedSize <= entry.limit - data else {
      throw malformed(entry, "the entry's name and bytes where the directory says")
    }
    return data..<data + entry.packedSize
  }

  /// The unpacked bytes of an entry, checked against its checksum.
  ///
  /// - Parameter limit: most bytes that are unpacked.
  /// - Throws: `zipUnsupported` above the limit, `checksumMismatch`, `deflateMalformed`, and as `dataRange(of:)`.
  public func bytes(of entry: ZipEntry, limit: Int) throws(FormatError) -> [UInt8] {
    guard entry.size <= limit else {
      throw FormatError(
        .zipUnsupported, file: source.path, subject: .key(entry.name), expected: "at most \(limit) bytes",
        found: "\(entry.size) bytes")
    }
    var bytes: [UInt8] = []
    try requirePlausible(entry)
    bytes.reserveCapacity(entry.size)
    try unpack(entry) { (chunk) throws(FormatError) in bytes.append(contentsOf: chunk) }
    return bytes
  }

  /// Reads an entry and compares its checksum; an entry without one is passed over where that is allowed.
  ///
  /// - Throws: as `bytes(of:limit:)`.
  /// - Complexity: O(bytes of the entry) in time, O(1) in memory.
  public func check(_ entry: ZipEntry, allowingNone: Bool = false) throws(FormatError) {
    if allowingNone, entry.checksum == 0 { return }
    try unpack(entry) { (_) throws(FormatError) in }
  }

  /// An entry's unpacked bytes as a file of their own, which has no name and disappears with the value.
  ///
  /// - Throws: as `bytes(of:limit:)`; `diskFull` or `cannotWrite` when there is no room in the folder for temporary files.
  func unpacked(_ entry: ZipEntry) throws(FormatError) -> FileSource {
    try requirePlausible(entry)
    return try FileSource.temporary { output throws(FormatError) in
      var written = 0
      try unpack(entry) { (chunk) throws(FormatError) in
        try output.write(chunk, at: written)
        written += chunk.count
      }
    }
  }

  /// Refuses sizes that deflate cannot reach: 1032 bytes for each byte is the most.
  private func requirePlausible(_ entry: ZipEntry) throws(FormatError) {
    guard entry.method == .deflated, entry.size / 1032 > entry.packedSize else { return }
    throw FormatError(
      .zipHostile, file: source.path, subject: .key(entry.name), expected: "at most 1032 times its packed bytes",
      found: "\(entry.size) bytes in \(entry.packedSize)")
  }

  /// Hands out the unpacked bytes piece by piece, then compares length and checksum.
  private func unpack(
    _ entry: ZipEntry, _ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    let range = try dataRange(of: entry)
    var checksum = Checksum()
    var count = 0
    do throws(FormatError) {
      func take(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        guard chunk.count <= entry.size - count else {
          throw FormatError(.deflateMalformed, expected: "\(entry.size) bytes", found: "more")
        }
        count += chunk.count
        checksum.add(chunk)
        try body(chunk)
      }
      switch entry.method {
      case .stored: try Chunks.read(source, range) { (chunk) throws(FormatError) in try take(chunk) }
      case .deflated:
        let inflater = try Inflater()
        try Chunks.read(source, range) { (chunk) throws(FormatError) in
          try inflater.inflate(chunk) { (output) throws(FormatError) in try take(output) }
        }
        guard inflater.isFinished else {
          throw FormatError(.deflateMalformed, expected: "the end of the compressed data", found: "none")
        }
      }
      guard count == entry.size else {
        throw FormatError(.deflateMalformed, expected: "\(entry.size) bytes", found: "\(count) bytes")
      }
      guard checksum.value == entry.checksum else {
        throw FormatError(
          .checksumMismatch, at: .byte(range.lowerBound), expected: hexadecimal(entry.checksum),
          found: hexadecimal(checksum.value), remedy: "the file is damaged; fetch it again")
      }
    } catch {
      var error = error.inFile(source.path)
      if error.subject == nil { error.subject = .key(entry.name) }
      throw error
    }
  }

  private func malformed(_ entry: ZipEntry, _ expected: String) -> FormatError {
    FormatError(
      .zipMalformed, file: source.path, subject: .key(entry.name), at: .byte(entry.headerOffset), expected: expected,
      found: "something else")
  }
}

private func hexadecimal(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 8 - digits.utf8.count) + digits
}

/// Reads a range of a file in pieces of a megabyte.
enum Chunks {
  static func read(
    _ source: FileSource, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    let size = min(1 << 20, range.count)
    guard size > 0 else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    defer { buffer.deallocate() }
    var start = range.lowerBound
    while start < range.upperBound {
      let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<min(size, range.upperBound - start)])
      try source.read(into: chunk, at: start)
      try body(UnsafeRawBufferPointer(chunk))
      start += chunk.count
    }
  }
}
