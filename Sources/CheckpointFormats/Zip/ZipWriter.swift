import PollardBase

/// Writes a zip archive, entry after entry, the same bytes for the same content.
///
/// Sizes are known before they are written, so there are no data descriptors. ZIP64 fields appear where a number does not fit four bytes.
struct ZipWriter {
  private let output: OutputFile
  private var offset = 0
  private var directory: [UInt8] = []
  private var count = 0

  init(_ output: OutputFile) { self.output = output }

  /// Adds a file.
  mutating func add(_ name: String, _ bytes: [UInt8], compressed: Bool) throws(FormatError) {
    let packed = compressed ? try Deflater.deflate(bytes) : bytes
    let nameBytes = Array(name.utf8)
    guard nameBytes.count < 0xFFFF else {
      throw FormatError(.zipUnsupported, expected: "a name of less than 65535 bytes", found: "\(nameBytes.count) bytes")
    }
    let full = 0xFFFF_FFFF
    let isLarge = bytes.count >= full || packed.count >= full
    var sizes: [UInt8] = []
    if isLarge { sizes = number(1, 2) + number(16, 2) + number(bytes.count, 8) + number(packed.count, 8) }
    // Version needed, UTF-8 names, method, 1980-01-01 as time, checksum, sizes, length of the name.
    let common =
      number(isLarge ? 45 : 20, 2) + number(0x800, 2) + number(compressed ? 8 : 0, 2) + number(0, 2) + number(0x21, 2)
      + number(Int(Checksum.of(bytes)), 4) + number(isLarge ? full : packed.count, 4)
      + number(isLarge ? full : bytes.count, 4) + number(nameBytes.count, 2)
    let header = number(0x0403_4B50, 4) + common + number(sizes.count, 2) + nameBytes + sizes
    try output.write(header, at: offset)
    try output.write(packed, at: offset + header.count)
    var extra = sizes
    if offset >= full {
      let fields = Array(sizes.dropFirst(4)) + number(offset, 8)
      extra = number(1, 2) + number(fields.count, 2) + fields
    }
    directory += number(0x0201_4B50, 4) + number(45, 2) + common + number(extra.count, 2) + number(0, 2) + number(0, 2)
    directory += number(0, 2) + number(0, 4) + number(min(offset, full), 4) + nameBytes + extra
    offset += header.count + packed.count
    count += 1
  }

  /// Writes the directory.
  mutating func finish() throws(FormatError) {
    let start = offset
    var end = directory
    if count >= 0xFFFF || start >= 0xFFFF_FFFF || directory.count >= 0xFFFF_FFFF {
      end += number(0x0606_4B50, 4) + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 4) + number(0, 4)
      end += number(count, 8) + number(count, 8) + number(directory.count, 8) + number(start, 8)
      end += number(0x0706_4B50, 4) + number(0, 4) + number(start + directory.count, 8) + number(1, 4)
    }
    let short = min(count, 0xFFFF)
    end += number(0x0605_4B50, 4) + number(0, 2) + number(0, 2) + number(short, 2) + number(short, 2)
    end += number(min(directory.count, 0xFFFF_FFFF), 4) + number(min(start, 0xFFFF_FFFF), 4) + number(0, 2)
    try output.write(end, at: offset)
    offset += end.count
  }

  private func number(_ value: Int, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }
}
