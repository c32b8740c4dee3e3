import CheckpointFormats
import PollardBase
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("ONNX messages")
struct ONNXDecodingTests {
  @Test("Bytes are decoded and encoded as the reference parser does")
  func reference() throws {
    try compare(onnxRows("decoding.txt"))
  }

  /// More cases by `tools/make-onnx-corpus --random`.
  @Test("Random bytes are decoded as the reference parser does", .enabled(if: getenv("POLLARD_ONNX_RANDOM") != nil))
  func random() throws {
    let path = try #require(getenv("POLLARD_ONNX_RANDOM").flatMap { String(validatingCString: $0) })
    try compare(onnxRows(path))
  }

  private func compare(_ rows: [[Substring]]) throws {
    #expect(rows.count > 100)
    for row in rows {
      try #require(row.count == 3)
      let input = try bytes(hexadecimal: row[1])
      do {
        let model = try ONNXModel(decoding: ONNXBytes(input))
        let unchanged = try model.encoded().bytes() == input
        #expect(unchanged, "\(row[0]): unchanged messages keep their bytes")
        guard row[2] != "error" else {
          // What is wrong inside long packed records shows when their numbers are wanted.
          Issue.record("\(row[0]): accepted")
          continue
        }
        let encoded = try model.encoded(reuse: .payloads).bytes()
        #expect(try encoded == bytes(hexadecimal: row[2]), "\(row[0])")
      } catch let error as FormatError {
        #expect(row[2] == "error", "\(row[0]): \(error)")
        #expect(error.location != nil, "\(row[0]): \(error)")
      }
    }
  }

  @Test("The schema's fields are all known")
  func unknownFields() throws {
    for row in try onnxRows("decoding.txt") where row[0].hasPrefix("every field") {
      let model = try ONNXModel(decoding: ONNXBytes(bytes(hexadecimal: row[1])))
      var counter = UnknownCounter()
      try counter.count(model)
      #expect(counter.messages > 200)
      #expect(counter.unknown == 0, "\(row[0])")
    }
  }

  @Test("A change keeps the bytes of everything beside it")
  func localChange() throws {
    // A node with an unknown field before a known one, which no encoder would write in this order.
    let odd: [UInt8] = [0xA0, 0x06, 0x01, 0x22, 0x03, 0x41, 0x64, 0x64]
    let plain: [UInt8] = [0x22, 0x03, 0x4D, 0x75, 0x6C]
    let graph: [UInt8] = [0x0A, 0x08] + odd + [0x0A, 0x05] + plain
    var model = try ONNXModel(decoding: ONNXBytes([0x3A, UInt8(graph.count)] + graph + [0x08, 0x08]))
    #expect(model.wire.source != nil)
    model.graph?.nodes[1].operatorType = "Div"
    #expect(model.wire.source == nil)
    #expect(model.graph?.wire.source == nil)
    #expect(model.graph?.nodes[0].wire.source != nil)
    #expect(model.graph?.nodes[1].wire.source == nil)
    let changed: [UInt8] = [0x22, 0x03, 0x44, 0x69, 0x76]
    let expected = [0x08, 0x08, 0x3A, UInt8(graph.count), 0x0A, 0x08] + odd + [0x0A, 0x05] + changed
    #expect(try model.bytes() == expected)
  }

  @Test("Names are told apart by their bytes")
  func names() throws {
    let names: [ByteString] = ["\u{E9}", "e\u{301}", ByteString([0xE9])]
    #expect(Set(names).count == 3)
    #expect(names[2].text == nil)
    let graph = onnxGraph(inputs: names, outputs: names)
    try onnxModel(graph).checkStructure()
  }

  @Test("An attribute's type decides; a payload that is left out is zero or empty")
  func attributeDefaults() throws {
    func attribute(_ type: ONNXAttribute.Kind) -> ONNXAttribute {
      var attribute = ONNXAttribute()
      attribute.name = "a"
      attribute.type = type.rawValue
      return attribute
    }
    guard case .integer(0) = try attribute(.integer).value(), case .float(0) = try attribute(.float).value(),
      case .string("") = try attribute(.string).value(), case .integers([]) = try attribute(.integers).value()
    else {
      Issue.record("a default is not zero or empty")
      return
    }
    #expect(codeThrown { _ = try attribute(.tensor).value() } == "attributeMalformed")
    #expect(codeThrown { _ = try attribute(.undefined).value() } == "attributeMalformed")
    var first = ONNXAttribute()
    first.integers = [1, 2]
    guard case .integers([1, 2]) = try first.value() else {
      Issue.record("the type is not inferred, as IR 1 needs")
      return
    }
    first.float = 1
    #expect(codeThrown { _ = try first.value() } == "attributeMalformed")
    var wrong = attribute(.integer)
    wrong.float = 1
    #expect(codeThrown { _ = try wrong.value() } == "attributeMalformed")
  }

  @Test("Setting one alternative of a type or an extent clears the other")
  func alternatives() {
    var dimension = ONNXDimension(3)
    dimension.parameter = "n"
    #expect(dimension.value == nil && dimension.parameter == "n")
    dimension.value = 0
    #expect(dimension.value == 0 && dimension.parameter == nil)
    var type = ONNXType(.float, shape: nil)
    type.sequence = ONNXElementType()
    #expect(type.tensor == nil && type.sequence != nil)
  }
}

/// Counts messages and the records in them that the schema does not know.
private struct UnknownCounter: ONNXFieldVisitor {
  var messages = 0
  var unknown = 0

  mutating func count<Message: ONNXMessage>(_ message: Message) throws(FormatError) {
    var message = message
    messages += 1
    unknown += message.wire.unknownRecords.count
    try message.visit(&self)
  }

  mutating func message<Message: ONNXMessage>(_ number: Int, _ value: inout Message?) throws(FormatError) {
    if let value { try count(value) }
  }
  mutating func messages<Message: ONNXMessage>(_ number: Int, _ values: inout [Message]) throws(FormatError) {
    for value in values { try count(value) }
  }
  mutating func integer(_ number: Int, _ value: inout Int64?) throws(FormatError) {}
  mutating func integer(_ number: Int, _ value: inout Int32?) throws(FormatError) {}
  mutating func enumeration(_ number: Int, _ value: inout Int32?, _ known: ClosedRange<Int32>) throws(FormatError) {}
  mutating func float(_ number: Int, _ value: inout Float?) throws(FormatError) {}
  mutating func bytes(_ number: Int, _ value: inout ByteString?) throws(FormatError) {}
  mutating func byteStrings(_ number: Int, _ values: inout [ByteString]) throws(FormatError) {}
  mutating func integers(_ number: Int, _ values: inout [Int64]) throws(FormatError) {}
  mutating func floats(_ number: Int, _ values: inout [Float]) throws(FormatError) {}
  mutating func elements<Element: ONNXElement>(
    _ number: Int, _ values: inout ONNXElements<Element>
  ) throws(FormatError) {}
  mutating func payload(_ number: Int, _ value: inout ONNXPayload?) throws(FormatError) {}
}
