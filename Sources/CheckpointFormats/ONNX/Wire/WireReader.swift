import PollardBase

/// Reads protobuf records of a source through a window, so that payloads which are skipped are never read.
///
/// The window is small after a jump and doubles while reading goes straight on.
final class WireReader {
  let source: ONNXBytes
  private let window: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end = 0
  private var nextCount = WireReader.smallestWindow

  private static let smallestWindow = 4 << 10
  private static let largestWindow = 1 << 20

  /// - Parameter span: about how many bytes are going to be read.
  init(_ source: ONNXBytes, span: Int = .max) {
    self.source = source
    window = .allocate(byteCount: max(Self.smallestWindow, min(Self.largestWindow, source.count, span)), alignment: 16)
  }

  deinit { window.deallocate() }

  /// The record that starts at a position of a message that ends at `limit`.
  ///
  /// - Parameter depth: the messages around the record, which a group adds to.
  func record(at position: Int, limit: Int, depth: Int) throws(FormatError) -> WireRecord {
    var cursor = position
    var record = try head(at: &cursor, limit: limit)
    switch record.type {
    case .groupStart:
      cursor = try groupEnd(of: record.number, at: position, from: cursor, limit: limit, depth: depth)
    case .groupEnd:
      throw malformed(at: position, expected: "a field", found: "the end of a group that has not begun")
    default: break
    }
    record.range = position..<cursor
    return record
  }

  /// The varint at a position, which moves behind it.
  @inline(__always)
  func varint(at position: inout Int, limit: Int) throws(FormatError) -> UInt64 {
    if position < limit, position >= start, position < end {
      let byte = window[position - start]
      if byte < 0x80 {
        position += 1
        return UInt64(byte)
      }
    }
    return try longVarint(at: &position, limit: limit)
  }

  private func longVarint(at position: inout Int, limit: Int) throws(FormatError) -> UInt64 {
    let first = position
    var value: UInt64 = 0
    for index in 0..<10 {
      guard position < limit else {
        throw malformed(at: first, expected: "a whole varint", found: "the end of its message")
      }
      let byte = try byte(at: position)
      position += 1
      value |= UInt64(byte & 0x7F) << UInt64(index * 7)
      if byte < 0x80 { return value }
    }
    throw malformed(at: first, expected: "a varint of at most 10 bytes", found: "a longer one")
  }

  /// The little-endian bits of a fixed-width value.
  func fixed(_ byteCount: Int, at position: inout Int, limit: Int) throws(FormatError) -> UInt64 {
    guard byteCount <= limit - position else {
      throw malformed(at: position, expected: "\(byteCount) bytes", found: "\(limit - position)")
    }
    var value: UInt64 = 0
    for index in 0..<byteCount { value |= try UInt64(byte(at: position + index)) << UInt64(index * 8) }
    position += byteCount
    return value
  }

  /// A copy of a range.
  func bytes(_ range: Range<Int>) throws(FormatError) -> [UInt8] {
    guard range.count <= Self.smallestWindow, !range.isEmpty else { return try source.bytes(range) }
    if range.lowerBound < start || range.upperBound > end { try fill(from: range.lowerBound, atLeast: range.count) }
    return Array(window[range.lowerBound - start..<range.upperBound - start])
  }

  /// The byte at a position inside the source.
  @inline(__always)
  func byte(at position: Int) throws(FormatError) -> UInt8 {
    if position < start || position >= end { try fill(from: position, atLeast: 1) }
    return window[position - start]
  }

  /// The error of bytes that are not protobuf.
  func malformed(at position: Int, expected: String, found: String) -> FormatError {
    FormatError(.protobufMalformed, file: source.path, at: .byte(position), expected: expected, found: found)
  }

  private func fill(from position: Int, atLeast count: Int) throws(FormatError) {
    guard position >= 0, count <= source.count, position <= source.count - count else {
      throw FormatError(.truncated, file: source.path, at: .byte(position), expected: "\(count) more bytes")
    }
    let goesOn = end > 0 && position >= start && position <= end
    nextCount = goesOn ? min(nextCount * 2, Self.largestWindow) : Self.smallestWindow
    let size = min(max(nextCount, count), source.count - position, window.count)
    end = start
    try source.read(into: UnsafeMutableRawBufferPointer(rebasing: window[..<size]), at: position)
    start = position
    end = position + size
  }

  /// Reads tag, length and scalar payload; the payload of a delimited record is stepped over.
  private func head(at cursor: inout Int, limit: Int) throws(FormatError) -> WireRecord {
    let position = cursor
    let tag = try varint(at: &cursor, limit: limit)
    guard cursor - position <= 5, tag <= UInt64(UInt32.max) else {
      throw malformed(at: position, expected: "a tag of 32 bits in at most 5 bytes", found: "\(tag)")
    }
    guard let type = WireType(rawValue: UInt8(tag & 7)) else {
      throw malformed(at: position, expected: "a wire type from 0 to 5", found: "\(tag & 7)")
    }
    guard tag >> 3 > 0 else { throw malformed(at: position, expected: "a field number above 0", found: "0") }
    var record = WireRecord(number: Int(tag >> 3), type: type)
    switch type {
    case .varint: record.value = try varint(at: &cursor, limit: limit)
    case .fixed64: record.value = try fixed(8, at: &cursor, limit: limit)
    case .fixed32: record.value = try fixed(4, at: &cursor, limit: limit)
    case .delimited:
      let length = try varint(at: &cursor, limit: limit)
      guard length <= UInt64(limit - cursor), length <= UInt64(WireFormat.maximumLength) else {
        throw malformed(
          at: position, expected: "a length of at most \(min(limit - cursor, WireFormat.maximumLength)) bytes",
          found: "\(length)")
      }
      record.content = cursor..<cursor + Int(length)
      cursor += Int(length)
    case .groupStart, .groupEnd: break
    }
    return record
  }

  private func groupEnd(
    of number: Int, at position: Int, from start: Int, limit: Int, depth: Int
  ) throws(FormatError) -> Int {
    var open = [number]
    var cursor = start
    while let innermost = open.last {
      guard depth + open.count <= WireFormat.maximumDepth else {
        throw FormatError(
          .nestedTooDeeply, file: source.path, at: .byte(cursor), expected: "at most \(WireFormat.maximumDepth) levels")
      }
      guard cursor < limit else {
        throw malformed(at: position, expected: "the end of the group", found: "the end of its message")
      }
      let place = cursor
      let record = try head(at: &cursor, limit: limit)
      switch record.type {
      case .groupStart: open.append(record.number)
      case .groupEnd:
        guard record.number == innermost else {
          throw malformed(at: place, expected: "the end of group \(innermost)", found: "that of \(record.number)")
        }
        open.removeLast()
      default: break
      }
    }
    return cursor
  }
}
