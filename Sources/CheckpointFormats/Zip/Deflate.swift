import CZlib
import PollardBase

/// CRC-32 of zip archives.
struct Checksum {
  private(set) var value: UInt32 = 0

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let count = min(bytes.count - done, 1 << 30)
      value = UInt32(
        truncatingIfNeeded: crc32(
          uLong(value), (base + done).assumingMemoryBound(to: Bytef.self), uInt(count)))
      done += count
    }
  }

  /// The checksum of an array.
  static func of(_ bytes: [UInt8]) -> UInt32 {
    var checksum = Checksum()
    bytes.withUnsafeBytes { checksum.add($0) }
    return checksum.value
  }
}

/// Unpacks raw deflate data piece by piece.
final class Inflater {
  // zlib remembers the address of its state, which therefore may not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private let output: UnsafeMutableRawBufferPointer
  /// Whether the end of the compressed data has been seen.
  private(set) var isFinished = false

  init() throws(FormatError) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    output = .allocate(byteCount: 1 << 18, alignment: 64)
    guard inflateInit2_(stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw FormatError(.deflateMalformed, found: "no memory for zlib")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deinitialize(count: 1)
    stream.deallocate()
    output.deallocate()
  }

  /// Unpacks the next bytes.
  ///
  /// - Throws: `deflateMalformed`, and what the body throws.
  func inflate(
    _ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    guard let base = input.baseAddress else { return }
    guard !isFinished else { throw FormatError(.deflateMalformed, expected: "the end", found: "more data") }
    stream.pointee.next_in = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: Bytef.self))
    stream.pointee.avail_in = uInt(input.count)
    repeat {
      stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: Bytef.self)
      stream.pointee.avail_out = uInt(output.count)
      let status = CZlib.inflate(stream, Z_NO_FLUSH)
      guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
        throw FormatError(.deflateMalformed, found: "zlib's error \(status)")
      }
      isFinished = status == Z_STREAM_END
      try body(UnsafeRawBufferPointer(rebasing: output[0..<output.count - Int(stream.pointee.avail_out)]))
    } while !isFinished && stream.pointee.avail_out == 0
    guard stream.pointee.avail_in == 0 else {
      throw FormatError(.deflateMalformed, expected: "the end", found: "more data")
    }
  }
}

/// Packs bytes as raw deflate data.
enum Deflater {
  static func deflate(_ bytes: [UInt8]) throws(FormatError) -> [UInt8] {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    defer {
      deflateEnd(stream)
      stream.deinitialize(count: 1)
      stream.deallocate()
    }
    guard
      deflateInit2_(
        stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw FormatError(.deflateMalformed, found: "no memory for zlib") }
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var start = 0
    var status = Z_OK
    repeat {
      let count = min(bytes.count - start, 1 << 24)
      let isLast = start + count == bytes.count
      bytes.withUnsafeBytes { input in
        stream.pointee.next_in = input.baseAddress.map {
          UnsafeMutablePointer(mutating: ($0 + start).assumingMemoryBound(to: Bytef.self))
        }
        stream.pointee.avail_in = uInt(count)
        repeat {
          let produced = buffer.withUnsafeMutableBufferPointer { output in
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = uInt(output.count)
            status = CZlib.deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
            return output.count - Int(stream.pointee.avail_out)
          }
          result.append(contentsOf: buffer[0..<produced])
        } while stream.pointee.avail_out == 0 && status == Z_OK
      }
      start += count
    } while start < bytes.count && status == Z_OK
    guard status == Z_STREAM_END else { throw FormatError(.deflateMalformed, found: "zlib's error \(status)") }
    return result
  }
}
