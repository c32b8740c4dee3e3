import PollardBase

/// Reads the fields of a GGUF header one after the other, through a window on the file.
///
/// Nothing is allocated by a size that has not been checked against the bytes that are left.
struct GGUFReader {
  /// Gives the bytes of a range inside the file.
  typealias Bytes = (Range<Int>) throws(FormatError) -> [UInt8]

  let fileSize: Int
  private let bytes: Bytes
  private var window: [UInt8] = []
  private var windowStart = 0
  /// The offset of the next field in the file.
  private(set) var position = 0
  var byteOrder = GGUFByteOrder.little
  /// Whether lengths, counts and extents take four bytes, as in version 1.
  var hasShortCounts = false

  private static let windowSize = 1 << 20
  static let maximumStringLength = 1 << 30
  static let maximumArrayCount = 1 << 30

  init(fileSize: Int, bytes: @escaping Bytes) {
    self.fileSize = fileSize
    self.bytes = bytes
  }

  /// The bytes behind the position.
  var remaining: Int { fileSize - position }

  /// Checks that so many bytes are left.
  func require(_ count: Int, for what: String) throws(FormatError) {
    guard count <= remaining else {
      throw FormatError(
        .truncated, at: .byte(position), expected: "\(count) bytes for \(what)", found: "\(remaining) bytes",
        remedy: "the file is cut off, as after an interrupted download; fetch it again")
    }
  }

  mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type, for what: String) throws(FormatError) -> Value {
    let size = MemoryLayout<Value>.size
    try fill(size, for: what)
    let value = window.withUnsafeBytes {
      $0.loadUnaligned(fromByteOffset: position - windowStart, as: type)
    }
    position += size
    return byteOrder == .little ? Value(littleEndian: value) : Value(bigEndian: value)
  }

  /// A length, a count or an extent: eight bytes, or four in version 1.
  mutating func count(for what: String) throws(FormatError) -> UInt64 {
    if hasShortCounts { return UInt64(try integer(UInt32.self, for: what)) }
    return try integer(UInt64.self, for: what)
  }

  /// The bytes of a string.
  mutating func string(for what: String) throws(FormatError) -> [UInt8] {
    let length = try stringLength(for: what)
    return try take(length, for: what)
  }

  /// The text of a name, which must be UTF-8.
  mutating func name(for what: String) throws(FormatError) -> String {
    let start = position
    let bytes = try string(for: what)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FormatError(
        .ggufNameNotUTF8, at: .byte(start), expected: "UTF-8 in \(what)",
        found: "\"\(String(decoding: bytes.prefix(64), as: UTF8.self))\"")
    }
    return text
  }

  /// So many bytes as they are.
  mutating func take(_ count: Int, for what: String) throws(FormatError) -> [UInt8] {
    try require(count, for: what)
    if count > Self.windowSize {
      let taken = try bytes(position..<position + count)
      position += count
      return taken
    }
    try fill(count, for: what)
    defer { position += count }
    return Array(window[position - windowStart..<position - windowStart + count])
  }

  /// So many numbers of a size, in little-endian order.
  mutating func numbers(_ count: Int, size: Int, for what: String) throws(FormatError) -> [UInt8] {
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: size)
    var taken = try take(overflow ? Int.max : byteCount, for: what)
    if byteOrder == .big, size > 1 {
      for start in stride(from: 0, to: taken.count, by: size) { taken[start..<start + size].reverse() }
    }
    return taken
  }

  /// So many strings in the form that `GGUFArray` keeps.
  mutating func strings(
    _ count: Int, for what: String
  ) throws(FormatError) -> (bytes: [UInt8], anchors: [Int]) {
    let lengthSize = hasShortCounts ? 4 : 8
    let (least, overflow) = count.multipliedReportingOverflow(by: lengthSize)
    try require(overflow ? Int.max : least, for: what)
    var result: [UInt8] = []
    var anchors: [Int] = []
    anchors.reserveCapacity(count / GGUFArray.anchorInterval + 1)
    var done = 0
    while done < count {
      if byteOrder == .little, !hasShortCounts {
        // Strings that lie in the window whole are taken together.
        try fill(8, for: what)
        let start = position - windowStart
        let (end, taken) = window.withUnsafeBytes { window in
          Self.wholeStrings(in: window, from: start, first: done, count: count, base: result.count, &anchors)
        }
        if taken > done {
          result.append(contentsOf: window[start..<end])
          position += end - start
          done = taken
          continue
        }
      }
      if done % GGUFArray.anchorInterval == 0 { anchors.append(result.count) }
      let length = try stringLength(for: what)
      withUnsafeBytes(of: UInt64(length).littleEndian) { result.append(contentsOf: $0) }
      result.append(contentsOf: try take(length, for: what))
      done += 1
    }
    return (result, anchors)
  }

  /// The end of the last string that lies in a window whole, and its number plus one.
  private static func wholeStrings(
    in window: UnsafeRawBufferPointer, from start: Int, first: Int, count: Int, base: Int, _ anchors: inout [Int]
  ) -> (end: Int, taken: Int) {
    var position = start
    var index = first
    while index < count, position <= window.count - 8 {
      let length = UInt64(littleEndian: window.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      guard length <= UInt64(window.count - 8 - position) else { break }
      if index % GGUFArray.anchorInterval == 0 { anchors.append(base + position - start) }
      position += 8 + Int(length)
      index += 1
    }
    return (position, index)
  }

  private mutating func stringLength(for what: String) throws(FormatError) -> Int {
    let start = position
    let length = try count(for: what)
    guard length <= UInt64(Self.maximumStringLength) else {
      throw FormatError(
        .ggufStringTooLong, at: .byte(start), expected: "at most \(Self.maximumStringLength) bytes for \(what)",
        found: "\(length) bytes")
    }
    return Int(length)
  }

  /// Brings so many bytes from the position on into the window.
  private mutating func fill(_ count: Int, for what: String) throws(FormatError) {
    if position + count <= windowStart + window.count { return }
    try require(count, for: what)
    let end = min(fileSize, position + max(count, Self.windowSize))
    window = try bytes(position..<end)
    windowStart = position
  }
}
