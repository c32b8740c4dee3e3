import PollardBase

/// Fills messages with the records of a source.
///
/// What official parsers accept is accepted: fields in any order, packed or not; a scalar that comes twice counts as its
/// last, a message that comes twice is merged; a known field of another wire type is an unknown record.
package struct ONNXDecoder: ONNXFieldVisitor {
  private let reader: WireReader
  private var record = WireRecord()
  private var isTaken = false
  private var depth = 0
  private var budget: Int

  /// Decodes a message that fills a range of a source.
  ///
  /// - Throws: `protobufMalformed`, `nestedTooDeeply`, `messageTooLarge` or `tooManyRecords`, with the byte; what reading
  ///   the source throws.
  /// - Complexity: O(records). Payloads of `raw_data` and of packed elements are not read.
  package static func decode<Message: ONNXMessage>(
    _ type: Message.Type = Message.self, from source: ONNXBytes, range: Range<Int>? = nil
  ) throws(FormatError) -> Message {
    let range = range ?? 0..<source.count
    guard range.count <= WireFormat.maximumLength else {
      throw FormatError(
        .messageTooLarge, file: source.path, expected: "at most \(WireFormat.maximumLength) bytes",
        found: "\(range.count) bytes", remedy: "tensors of larger models must be in external data")
    }
    var decoder = ONNXDecoder(source)
    var message = Message()
    try decoder.merge(into: &message, range)
    message.wire.source = ONNXSlice(source, range)
    return message
  }

  private init(_ source: ONNXBytes) {
    reader = WireReader(source, span: source.count)
    budget = Self.maximumRecords
  }

  /// Records and numbers of a model, all together. The largest models in use have a few millions.
  static let maximumRecords = 50_000_000

  private mutating func merge<Message: ONNXMessage>(into message: inout Message, _ range: Range<Int>)
    throws(FormatError)
  {
    guard depth <= WireFormat.maximumDepth else {
      throw FormatError(
        .nestedTooDeeply, file: reader.source.path, at: .byte(range.lowerBound),
        expected: "at most \(WireFormat.maximumDepth) levels")
    }
    let outer = record
    defer { depth -= 1 }
    depth += 1
    var position = range.lowerBound
    while position < range.upperBound {
      record = try reader.record(at: position, limit: range.upperBound, depth: depth - 1)
      position = record.range.upperBound
      try spend(1)
      isTaken = false
      try message.visit(&self)
      if !isTaken { message.wire.unknownRecords.append(ONNXSlice(reader.source, record.range)) }
    }
    record = outer
    isTaken = true
  }

  private mutating func spend(_ count: Int) throws(FormatError) {
    budget -= count
    guard budget >= 0 else {
      throw FormatError(
        .tooManyRecords, file: reader.source.path, at: .byte(record.range.lowerBound),
        expected: "at most \(Self.maximumRecords)")
    }
  }

  @inline(__always)
  private mutating func takes(_ number: Int, _ type: WireType) -> Bool {
    guard record.number == number, !isTaken, record.type == type else { return false }
    isTaken = true
    return true
  }

  @inline(__always)
  package mutating func integer(_ number: Int, _ value: inout Int64?) throws(FormatError) {
    if takes(number, .varint) { value = Int64(bitPattern: record.value) }
  }

  @inline(__always)
  package mutating func integer(_ number: Int, _ value: inout Int32?) throws(FormatError) {
    if takes(number, .varint) { value = Int32(truncatingIfNeeded: record.value) }
  }

  @inline(__always)
  package mutating func enumeration(
    _ number: Int, _ value: inout Int32?, _ known: ClosedRange<Int32>
  ) throws(FormatError) {
    guard record.number == number, record.type == .varint, known.contains(Int32(truncatingIfNeeded: record.value))
    else { return }
    if takes(number, .varint) { value = Int32(truncatingIfNeeded: record.value) }
  }

  @inline(__always)
  package mutating func float(_ number: Int, _ value: inout Float?) throws(FormatError) {
    if takes(number, .fixed32) { value = Float(wireBits: record.value) }
  }

  @inline(__always)
  package mutating func bytes(_ number: Int, _ value: inout ByteString?) throws(FormatError) {
    if takes(number, .delimited) { value = ByteString(try reader.bytes(record.content)) }
  }

  @inline(__always)
  package mutating func byteStrings(_ number: Int, _ values: inout [ByteString]) throws(FormatError) {
    if takes(number, .delimited) { values.append(ByteString(try reader.bytes(record.content))) }
  }

  @inline(__always)
  package mutating func integers(_ number: Int, _ values: inout [Int64]) throws(FormatError) {
    guard record.number == number, !isTaken else { return }
    try numbers(.varint, &values)
  }

  @inline(__always)
  package mutating func floats(_ number: Int, _ values: inout [Float]) throws(FormatError) {
    guard record.number == number, !isTaken else { return }
    try numbers(.fixed32, &values)
  }

  private mutating func numbers<Element: ONNXElement>(
    _ type: WireType, _ values: inout [Element]
  ) throws(FormatError) {
    if takes(record.number, type) {
      values.append(Element(wireBits: record.value))
    } else if takes(record.number, .delimited) {
      let before = values.count
      // No number is shorter than a byte.
      try spend(record.content.count / (Element.fixedByteCount ?? 1))
      try ONNXElements<Element>.decode(ONNXSlice(reader.source, record.content), with: reader) { values.append($0) }
      budget += record.content.count / (Element.fixedByteCount ?? 1) - (values.count - before)
    }
  }

  @inline(__always)
  package mutating func elements<Element: ONNXElement>(
    _ number: Int, _ values: inout ONNXElements<Element>
  ) throws(FormatError) {
    guard record.number == number, !isTaken else { return }
    try elements(&values)
  }

  private mutating func elements<Element: ONNXElement>(_ values: inout ONNXElements<Element>) throws(FormatError) {
    let single: WireType = Element.fixedByteCount == nil ? .varint : Element.fixedByteCount == 4 ? .fixed32 : .fixed64
    if takes(record.number, single) {
      values.append(Element(wireBits: record.value))
    } else if takes(record.number, .delimited), !record.content.isEmpty {
      try ONNXElements<Element>.checkEnd(of: record.content, with: reader)
      values.runs.append(.packed(ONNXSlice(reader.source, record.content)))
    }
  }

  @inline(__always)
  package mutating func payload(_ number: Int, _ value: inout ONNXPayload?) throws(FormatError) {
    if takes(number, .delimited) { value = .slice(ONNXSlice(reader.source, record.content)) }
  }

  @inline(__always)
  package mutating func message<Message: ONNXMessage>(_ number: Int, _ value: inout Message?) throws(FormatError) {
    guard takes(number, .delimited) else { return }
    try single(&value)
  }

  private mutating func single<Message: ONNXMessage>(_ value: inout Message?) throws(FormatError) {
    let range = record.content
    if var merged = value {
      // Two pieces of one message have no bytes in common.
      value = nil
      try merge(into: &merged, range)
      merged.wire.source = nil
      value = merged
    } else {
      value = try decoded(range)
    }
  }

  @inline(__always)
  package mutating func messages<Message: ONNXMessage>(_ number: Int, _ values: inout [Message]) throws(FormatError) {
    guard takes(number, .delimited) else { return }
    values.append(try decoded(record.content))
  }

  private mutating func decoded<Message: ONNXMessage>(_ range: Range<Int>) throws(FormatError) -> Message {
    var message = Message()
    try merge(into: &message, range)
    message.wire.source = ONNXSlice(reader.source, range)
    return message
  }
}

extension ONNXElements {
  /// Adds a number that came alone.
  mutating func append(_ value: Element) {
    if case .values(var run)? = runs.last {
      runs.removeLast()
      run.append(value)
      runs.append(.values(run))
    } else {
      runs.append(.values([value]))
    }
  }

  /// Refuses a packed record that ends inside its last number; the numbers before are checked when they are read.
  static func checkEnd(of range: Range<Int>, with reader: WireReader) throws(FormatError) {
    if let byteCount = fixedByteCount {
      guard range.count % byteCount == 0 else {
        throw reader.malformed(
          at: range.lowerBound, expected: "a multiple of \(byteCount) bytes", found: "\(range.count) bytes")
      }
    } else if range.count <= eagerByteCount {
      try decode(ONNXSlice(reader.source, range), with: reader) { _ in }
    } else {
      let last = try reader.byte(at: range.upperBound - 1)
      guard last < 0x80 else {
        throw reader.malformed(at: range.upperBound - 1, expected: "a whole varint", found: "the end of its record")
      }
    }
  }

  private static var fixedByteCount: Int? { Element.fixedByteCount }

  /// Packed varints of up to this many bytes are checked one by one when a message is opened.
  private static var eagerByteCount: Int { 4 << 10 }
}
