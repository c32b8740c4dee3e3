import PollardBase
import TensorStorage

/// A piece of an encoded message.
package enum ONNXPiece: Sendable {
  /// Bytes in memory.
  case bytes([UInt8])
  /// Bytes of the source.
  case slice(ONNXSlice)
  /// A tensor that is evaluated when it is written.
  case weight(Weight)

  /// The number of bytes.
  package var count: Int {
    switch self {
    case .bytes(let bytes): bytes.count
    case .slice(let slice): slice.count
    case .weight(let weight): weight.byteCount
    }
  }
}

/// Which bytes an encoder takes over from the source.
package enum ONNXReuse: Sendable {
  /// The bytes of each message that is as it was read.
  case unchangedMessages
  /// Payloads and unknown records only; every field is written from its value.
  case payloads
}

/// An encoded message: small parts in memory, payloads where they are.
package struct ONNXEncoding: Sendable {
  /// The pieces, one after the other.
  package private(set) var pieces: [ONNXPiece] = []
  /// The number of bytes of all pieces.
  package private(set) var count = 0

  /// Slices up to this length are read rather than copied between files.
  static let largestInlineSlice = 16 << 10

  /// Encodes a message: known fields in ascending order, then unknown records in theirs.
  ///
  /// - Throws: what reading the sources throws; `messageTooLarge` at 2 GiB.
  package init(_ message: some ONNXMessage, reuse: ONNXReuse = .unchangedMessages) throws(FormatError) {
    if reuse == .unchangedMessages, let source = message.wire.source {
      pieces = [.slice(source)]
      count = source.count
      return
    }
    var sizer = ONNXSizer(reuse: reuse)
    try sizer.body(of: message)
    guard sizer.total <= WireFormat.maximumLength else {
      throw FormatError(
        .messageTooLarge, expected: "at most \(WireFormat.maximumLength) bytes", found: "\(sizer.total) bytes",
        remedy: "write the tensors as external data")
    }
    var emitter = ONNXEmitter(reuse: reuse, sizes: sizer.sizes)
    try emitter.body(of: message)
    emitter.flush()
    pieces = emitter.pieces
    count = sizer.total
    assert(pieces.reduce(0) { $0 + $1.count } == count, "sizes are those of what is written")
  }

  /// The whole encoding in memory.
  package func bytes() throws(FormatError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for piece in pieces {
      switch piece {
      case .bytes(let piece): bytes += piece
      case .slice(let slice): bytes += try slice.bytes()
      case .weight(let weight): bytes += try weight.bytes()
      }
    }
    return bytes
  }
}

/// Computes the sizes of nested messages, in the order in which they are written.
struct ONNXSizer: ONNXFieldVisitor {
  let reuse: ONNXReuse
  var sizes: [Int] = []
  var total = 0

  init(reuse: ONNXReuse) { self.reuse = reuse }

  mutating func body(of message: some ONNXMessage) throws(FormatError) {
    var message = message
    try message.visit(&self)
    for record in message.wire.unknownRecords { total += record.count }
  }

  private mutating func varint(_ number: Int, _ bits: UInt64) {
    total += WireFormat.size(ofTag: number) + WireFormat.size(ofVarint: bits)
  }

  private mutating func delimited(_ number: Int, _ count: Int) {
    total += WireFormat.size(ofTag: number) + WireFormat.size(ofVarint: UInt64(count)) + count
  }

  mutating func integer(_ number: Int, _ value: inout Int64?) throws(FormatError) {
    if let value { varint(number, value.wireBits) }
  }

  mutating func integer(_ number: Int, _ value: inout Int32?) throws(FormatError) {
    if let value { varint(number, value.wireBits) }
  }

  mutating func enumeration(_ number: Int, _ value: inout Int32?, _ known: ClosedRange<Int32>) throws(FormatError) {
    if let value { varint(number, value.wireBits) }
  }

  mutating func float(_ number: Int, _ value: inout Float?) throws(FormatError) {
    if value != nil { total += WireFormat.size(ofTag: number) + 4 }
  }

  mutating func bytes(_ number: Int, _ value: inout ByteString?) throws(FormatError) {
    if let value { delimited(number, value.bytes.count) }
  }

  mutating func byteStrings(_ number: Int, _ values: inout [ByteString]) throws(FormatError) {
    for value in values { delimited(number, value.bytes.count) }
  }

  mutating func integers(_ number: Int, _ values: inout [Int64]) throws(FormatError) {
    for value in values { varint(number, value.wireBits) }
  }

  mutating func floats(_ number: Int, _ values: inout [Float]) throws(FormatError) {
    total += values.count * (WireFormat.size(ofTag: number) + 4)
  }

  mutating func elements<Element: ONNXElement>(
    _ number: Int, _ values: inout ONNXElements<Element>
  ) throws(FormatError) {
    guard !values.isEmpty else { return }
    let count = try values.packedByteCount()
    sizes.append(count)
    delimited(number, count)
  }

  mutating func payload(_ number: Int, _ value: inout ONNXPayload?) throws(FormatError) {
    if let value { delimited(number, value.count) }
  }

  mutating func message<Message: ONNXMessage>(_ number: Int, _ value: inout Message?) throws(FormatError) {
    if let value { try nested(number, value) }
  }

  mutating func messages<Message: ONNXMessage>(_ number: Int, _ values: inout [Message]) throws(FormatError) {
    for value in values { try nested(number, value) }
  }

  private mutating func nested(_ number: Int, _ message: some ONNXMessage) throws(FormatError) {
    if reuse == .unchangedMessages, let source = message.wire.source { return delimited(number, source.count) }
    let index = sizes.count
    let before = total
    sizes.append(0)
    total = 0
    try body(of: message)
    sizes[index] = total
    total = before
    delimited(number, sizes[index])
  }
}

/// Writes records, with the lengths that the sizer found.
struct ONNXEmitter: ONNXFieldVisitor {
  let reuse: ONNXReuse
  let sizes: [Int]
  var pieces: [ONNXPiece] = []
  private var next = 0
  private var buffer: [UInt8] = []
  private var reader: WireReader?

  init(reuse: ONNXReuse, sizes: [Int]) {
    self.reuse = reuse
    self.sizes = sizes
  }

  mutating func flush() {
    if !buffer.isEmpty { pieces.append(.bytes(buffer)) }
    buffer = []
  }

  mutating func body(of message: some ONNXMessage) throws(FormatError) {
    var message = message
    try message.visit(&self)
    for record in message.wire.unknownRecords { try slice(record) }
  }

  private mutating func nextSize() -> Int {
    next += 1
    return sizes[next - 1]
  }

  private mutating func varint(_ number: Int, _ bits: UInt64) {
    WireFormat.append(tag: number, .varint, to: &buffer)
    WireFormat.append(varint: bits, to: &buffer)
  }

  private mutating func head(_ number: Int, _ count: Int) {
    WireFormat.append(tag: number, .delimited, to: &buffer)
    WireFormat.append(varint: UInt64(count), to: &buffer)
  }

  private mutating func slice(_ slice: ONNXSlice) throws(FormatError) {
    guard slice.count > ONNXEncoding.largestInlineSlice else {
      // Slices of one message follow each other closely; a window saves most of the reads.
      if reader?.source !== slice.source { reader = WireReader(slice.source) }
      if let reader { buffer += try reader.bytes(slice.range) }
      return
    }
    flush()
    pieces.append(.slice(slice))
  }

  mutating func integer(_ number: Int, _ value: inout Int64?) throws(FormatError) {
    if let value { varint(number, value.wireBits) }
  }

  mutating func integer(_ number: Int, _ value: inout Int32?) throws(FormatError) {
    if let value { varint(number, value.wireBits) }
  }

  mutating func enumeration(_ number: Int, _ value: inout Int32?, _ known: ClosedRange<Int32>) throws(FormatError) {
    if let value { varint(number, value.wireBits) }
  }

  mutating func float(_ number: Int, _ value: inout Float?) throws(FormatError) {
    if let value { floats(number, CollectionOfOne(value)) }
  }

  mutating func bytes(_ number: Int, _ value: inout ByteString?) throws(FormatError) {
    guard let value else { return }
    head(number, value.bytes.count)
    buffer += value.bytes
  }

  mutating func byteStrings(_ number: Int, _ values: inout [ByteString]) throws(FormatError) {
    for value in values {
      head(number, value.bytes.count)
      buffer += value.bytes
    }
  }

  mutating func integers(_ number: Int, _ values: inout [Int64]) throws(FormatError) {
    for value in values { varint(number, value.wireBits) }
  }

  mutating func floats(_ number: Int, _ values: inout [Float]) throws(FormatError) { floats(number, values) }

  private mutating func floats(_ number: Int, _ values: some Collection<Float>) {
    for value in values {
      WireFormat.append(tag: number, .fixed32, to: &buffer)
      withUnsafeBytes(of: value.bitPattern.littleEndian) { buffer.append(contentsOf: $0) }
    }
  }

  mutating func elements<Element: ONNXElement>(
    _ number: Int, _ values: inout ONNXElements<Element>
  ) throws(FormatError) {
    guard !values.isEmpty else { return }
    head(number, nextSize())
    for run in values.runs {
      // Fixed-width numbers are in the file as they are written; varints may not be minimal there.
      if case .packed(let packed) = run, Element.fixedByteCount != nil {
        try slice(packed)
      } else {
        try ONNXElements.forEach(run) { $0.append(to: &buffer) }
      }
    }
  }

  mutating func payload(_ number: Int, _ value: inout ONNXPayload?) throws(FormatError) {
    guard let value else { return }
    head(number, value.count)
    switch value {
    case .slice(let payload): try slice(payload)
    case .bytes(let bytes): buffer += bytes
    case .weight(let weight):
      flush()
      pieces.append(.weight(weight))
    }
  }

  mutating func message<Message: ONNXMessage>(_ number: Int, _ value: inout Message?) throws(FormatError) {
    if let value { try nested(number, value) }
  }

  mutating func messages<Message: ONNXMessage>(_ number: Int, _ values: inout [Message]) throws(FormatError) {
    for value in values { try nested(number, value) }
  }

  private mutating func nested(_ number: Int, _ message: some ONNXMessage) throws(FormatError) {
    if reuse == .unchangedMessages, let source = message.wire.source {
      head(number, source.count)
      return try slice(source)
    }
    head(number, nextSize())
    try body(of: message)
  }
}

extension ONNXElement {
  /// The bytes of the number in a packed record.
  fileprivate var packedByteCount: Int { Self.fixedByteCount ?? WireFormat.size(ofVarint: wireBits) }

  fileprivate func append(to bytes: inout [UInt8]) {
    guard let count = Self.fixedByteCount else { return WireFormat.append(varint: wireBits, to: &bytes) }
    let bits = wireBits
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(index * 8))) }
  }
}

extension ONNXElements {
  fileprivate static func forEach(_ run: Run, _ body: (Element) -> Void) throws(FormatError) {
    switch run {
    case .values(let values): for value in values { body(value) }
    case .packed(let slice): try decode(slice, with: WireReader(slice.source, span: slice.count), body)
    }
  }

  /// The bytes of all numbers in one packed record.
  fileprivate func packedByteCount() throws(FormatError) -> Int {
    if let byteCount = Element.fixedByteCount { return try count() * byteCount }
    var total = 0
    for run in runs { try Self.forEach(run) { total += $0.packedByteCount } }
    return total
  }
}
