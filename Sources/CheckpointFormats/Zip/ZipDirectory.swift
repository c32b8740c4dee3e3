import PollardBase

/// Finds and reads the central directory of a zip archive.
///
/// | record                    | bytes         | where                                          |
/// |---------------------------|---------------|------------------------------------------------|
/// | end of central directory  | `50 4B 05 06` | within the last 65 557 bytes                    |
/// | ZIP64 locator             | `50 4B 06 07` | the 20 bytes before it, if there is one         |
/// | ZIP64 end                 | `50 4B 06 06` | where the locator says                          |
/// | central entry             | `50 4B 01 02` | one after the other from the stated offset      |
///
/// Source: PKWARE APPNOTE 6.3, sections 4.3 and 4.5.3.
struct ZipDirectory {
  /// Largest directory that is read: a million entries with long names.
  static let sizeLimit = 256 << 20

  /// Where the central directory lies.
  private(set) var range: Range<Int>
  private let count: Int

  /// Finds the directory.
  ///
  /// - Throws: `zipMalformed`, `zipUnsupported` for archives of several volumes.
  init(_ source: FileSource) throws(FormatError) {
    let tailStart = max(0, source.size - 65_557)
    let tail = LittleEndianFields(bytes: try source.bytes(tailStart..<source.size))
    var found: Int?
    var place = tail.bytes.count - 22
    while place >= 0 {
      if tail.number(at: place, size: 4) == 0x0605_4B50,
        tail.integer(at: place + 20, size: 2) == tail.bytes.count - place - 22
      {
        found = place
        break
      }
      place -= 1
    }
    guard let end = found else {
      throw FormatError(
        .zipMalformed, expected: "the end record of a zip archive", found: "none",
        remedy: "the file is cut off, as after an interrupted download; fetch it again")
    }
    var disks = (tail.number(at: end + 4, size: 2) ?? 0) | (tail.number(at: end + 6, size: 2) ?? 0)
    var count = tail.integer(at: end + 10, size: 2)
    var size = tail.integer(at: end + 12, size: 4)
    var offset = tail.integer(at: end + 16, size: 4)
    var limit = tailStart + end
    let locator = limit - 20
    if locator >= 0 {
      let fields = LittleEndianFields(bytes: try source.bytes(locator..<limit))
      if fields.number(at: 0, size: 4) == 0x0706_4B50 {
        guard let place = fields.integer(at: 8, size: 8), place <= locator, locator - place >= 56 else {
          throw FormatError(
            .zipMalformed, at: .byte(locator), expected: "the place of the ZIP64 end record", found: "another")
        }
        let large = LittleEndianFields(bytes: try source.bytes(place..<place + 56))
        guard large.number(at: 0, size: 4) == 0x0606_4B50 else {
          throw FormatError(.zipMalformed, at: .byte(place), expected: "the ZIP64 end record", found: "something else")
        }
        disks = (large.number(at: 16, size: 4) ?? 0) | (large.number(at: 20, size: 4) ?? 0)
        count = large.integer(at: 32, size: 8)
        size = large.integer(at: 40, size: 8)
        offset = large.integer(at: 48, size: 8)
        limit = place
      }
    }
    guard disks == 0 else {
      throw FormatError(.zipUnsupported, at: .byte(tailStart + end), expected: "one volume", found: "several")
    }
    guard let count, let size, let offset, size <= limit, offset <= limit - size, count <= size / 46 else {
      throw FormatError(
        .zipMalformed, at: .byte(tailStart + end), expected: "a directory inside the file", found: "one outside it")
    }
    guard size <= Self.sizeLimit else {
      throw FormatError(
        .zipUnsupported, at: .byte(offset), expected: "a directory of at most \(Self.sizeLimit) bytes",
        found: "\(size) bytes")
    }
    range = offset..<offset + size
    self.count = count
  }

  /// Reads the entries, in the order of the directory.
  ///
  /// - Throws: `zipMalformed`, `zipUnsupported` for encryption and other packing, `zipHostile` for names and places that no writer gives.
  func entries(of source: FileSource) throws(FormatError) -> [ZipEntry] {
    let fields = LittleEndianFields(bytes: try source.bytes(range))
    var drafts: [Draft] = []
    drafts.reserveCapacity(count)
    var place = 0
    for _ in 0..<count {
      let draft: Draft
      (draft, place) = try self.draft(at: place, fields)
      drafts.append(draft)
    }
    // Nothing may begin inside another entry: overlapping entries unpack to more than the file holds.
    var limits = [Int](repeating: 0, count: drafts.count)
    var next = range.lowerBound
    for index in drafts.indices.sorted(by: { drafts[$0].headerOffset > drafts[$1].headerOffset }) {
      let draft = drafts[index]
      let least = 30 + draft.name.utf8.count
      guard draft.headerOffset <= next, next - draft.headerOffset >= least,
        draft.packedSize <= next - draft.headerOffset - least
      else {
        throw FormatError(
          .zipHostile, subject: .key(draft.name), at: .byte(draft.headerOffset), expected: "entries side by side",
          found: "one that reaches into another or outside the file")
      }
      limits[index] = next
      next = draft.headerOffset
    }
    return zip(drafts, limits).map { draft, limit in
      ZipEntry(
        name: draft.name, method: draft.method, checksum: draft.checksum, packedSize: draft.packedSize,
        size: draft.size, headerOffset: draft.headerOffset, limit: limit)
    }
  }

  /// A central entry before its neighbours are known.
  private struct Draft {
    var name: String
    var method: ZipEntry.Method
    var checksum: UInt32
    var packedSize: Int
    var size: Int
    var headerOffset: Int
  }

  private func draft(at place: Int, _ fields: LittleEndianFields) throws(FormatError) -> (Draft, end: Int) {
    let location = DiagnosticLocation.byte(range.lowerBound + place)
    func malformed(_ expected: String) -> FormatError { FormatError(.zipMalformed, at: location, expected: expected) }
    guard fields.number(at: place, size: 4) == 0x0201_4B50, let flags = fields.number(at: place + 8, size: 2),
      let method = fields.number(at: place + 10, size: 2), let checksum = fields.number(at: place + 16, size: 4),
      let nameLength = fields.integer(at: place + 28, size: 2),
      let extraLength = fields.integer(at: place + 30, size: 2),
      let commentLength = fields.integer(at: place + 32, size: 2), let disk = fields.number(at: place + 34, size: 2)
    else { throw malformed("an entry of the directory") }
    let nameStart = place + 46
    let extraStart = nameStart + nameLength
    let end = extraStart + extraLength + commentLength
    guard end <= fields.bytes.count else { throw malformed("an entry inside the directory") }
    let nameBytes = Array(fields.bytes[nameStart..<extraStart])
    guard let name = String(validating: nameBytes, as: UTF8.self) else { throw malformed("a name in UTF-8") }
    guard flags & 0x2041 == 0 else {
      throw FormatError(
        .zipUnsupported, subject: .key(name), at: location, expected: "plain entries", found: "encryption")
    }
    guard let method = ZipEntry.Method(rawValue: UInt16(truncatingIfNeeded: method)) else {
      throw FormatError(
        .zipUnsupported, subject: .key(name), at: location, expected: "stored or deflated entries",
        found: "compression method \(method)")
    }
    let folded = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.isEmpty, !name.hasPrefix("/"), !name.contains("\\"), !name.contains("\0"), !folded.contains(".."),
      disk == 0 || disk == 0xFFFF
    else {
      throw FormatError(
        .zipHostile, subject: .key(name), at: location, expected: "names inside the archive's folder", found: "another")
    }
    var large = LargeFields(fields, extraStart..<extraStart + extraLength)
    guard let size = large.value(fields.integer(at: place + 24, size: 4)),
      let packedSize = large.value(fields.integer(at: place + 20, size: 4)),
      let offset = large.value(fields.integer(at: place + 42, size: 4))
    else { throw malformed("sizes and places") }
    guard method != .stored || size == packedSize else {
      throw FormatError(
        .zipMalformed, subject: .key(name), at: location, expected: "\(packedSize) bytes as stored", found: "\(size)")
    }
    let draft = Draft(
      name: name, method: method, checksum: UInt32(truncatingIfNeeded: checksum), packedSize: packedSize, size: size,
      headerOffset: offset)
    return (draft, end)
  }
}

/// The numbers of a ZIP64 extra field, which holds only those that do not fit four bytes, in a fixed order.
private struct LargeFields {
  private let fields: LittleEndianFields
  private var place: Int
  private var end: Int

  init(_ fields: LittleEndianFields, _ extra: Range<Int>) {
    self.fields = fields
    (place, end) = (extra.upperBound, extra.upperBound)
    var position = extra.lowerBound
    while extra.upperBound - position >= 4, let id = fields.integer(at: position, size: 2),
      let length = fields.integer(at: position + 2, size: 2), length <= extra.upperBound - position - 4
    {
      if id == 1 {
        (place, end) = (position + 4, position + 4 + length)
        return
      }
      position += 4 + length
    }
  }

  /// A number, from here when its own field is full.
  mutating func value(_ short: Int?) -> Int? {
    guard short == 0xFFFF_FFFF else { return short }
    guard end - place >= 8 else { return nil }
    defer { place += 8 }
    return fields.integer(at: place, size: 8)
  }
}
