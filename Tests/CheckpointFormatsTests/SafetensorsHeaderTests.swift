import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("A safetensors header is read as the reference reads it")
struct SafetensorsHeaderTests {
  /// Verdicts of the safetensors 0.8.0 package for Python on the same bytes.
  @Test(
    "What the reference accepts is accepted",
    arguments: [
      "{}", " \t\r\n{}", "{} \t\r\n", "{\"__metadata__\":null}", "{\"__metadata__\":{}}",
      "{\"__metadata\\u005f_\":{\"a\":\"1\"}}", "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"__metadata__\":{\"a\":\"1\"}}",
      "{\"a\":{\"dt\\u0079pe\":\"\\u00558\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"a\":{\"data_offsets\":[0,0],\"shape\":[0,7],\"dtype\":\"F4\",\"x\":{\"y\":[1,-1.5E+5,null,true,\"\"]}}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1,\"x\":2}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":123456789012345678901234567890}}",
      "{\"a\u{7F}\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":\(nested(125))}}",
    ])
  func accepts(header: String) throws { _ = try readHeader(safetensors(header)) }

  static func nested(_ levels: Int) -> String {
    String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
  }

  private static func entry(
    dtype: String = "\"U8\"", shape: String = "[1]", offsets: String = "[0,1]", extra: String = ""
  ) -> String {
    "{\"a\":{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)\(extra)}}"
  }

  @Test(
    "What the reference's parser refuses is malformed",
    arguments: [
      "[]", "\"\"", "1", "{", "{}{}", "{},", "{} \u{0}", "{\"a\":null}", "{\"a\":3}", "{\"a\":{}}",
      "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":null}}", "{\"__metadata__\":{\"a\":{}}}",
      "{\"__metadata__\":[]}", "{\"__metadata__\":null,\"__metadata__\":null}", "\u{FEFF}{}", "\u{B}{}",
      entry(shape: "[4.0]"), entry(shape: "[1e0]"), entry(shape: "[-0]"), entry(shape: "[-1]"), entry(shape: "[\"1\"]"),
      entry(shape: "[true]"), entry(shape: "[18446744073709551616]"), entry(shape: "[01]"), entry(shape: "null"),
      entry(shape: "1"), entry(shape: "[1,]"), entry(offsets: "[0]"), entry(offsets: "[]"), entry(offsets: "[0,1,1]"),
      entry(offsets: "[0,1.0]"), entry(offsets: "{\"0\":1}"), entry(dtype: "1"), entry(dtype: "null"),
      entry(extra: ",\"shape\":[1]"), entry(extra: ",\"dtype\":\"U8\""), entry(extra: ",\"data_offsets\":[0,1]"),
      entry(extra: ",\"x\":1e999"), entry(extra: ",\"x\":NaN"), entry(extra: ",\"x\":1."),
      entry(extra: ",\"x\":\(nested(126))"),
      entry(extra: ","), entry(extra: ",\"x\":\"\\ud800\""), entry(extra: ",\"x\":\"\n\""), entry() + "//",
      "{\"a\":[\"U8\",[1],[0,1]]}", entry(dtype: "{\"U8\":null}"),
    ])
  func refuses(header: String) {
    #expect(codeThrown { _ = try readHeader(safetensors(header, dataSize: 1)) } == "headerMalformed")
  }

  @Test("Element types are spelled exactly", arguments: ["f32", "F128", "C128", "Q4_0", "", "F32 ", "BFLOAT16"])
  func unknownTypes(name: String) {
    let bytes = safetensors(Self.entry(dtype: "\"\(name)\""), dataSize: 1)
    #expect(codeThrown { _ = try readHeader(bytes) } == "unknownElementType")
  }

  @Test("Duplicates are refused with both places, also when spelled differently")
  func duplicates() {
    let entry = "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"
    #expect(throws: FormatError(.duplicateTensor, subject: .tensor("ab"), at: .bytes(9, 62))) {
      _ = try readHeader(safetensors("{\"ab\":\(entry),\"\\u0061b\":\(entry)}"))
    }
    #expect(codeThrown { _ = try readHeader(safetensors("{\"\u{E9}\":\(entry),\"e\u{301}\":\(entry)}")) } == nil)
  }

  @Test("A mismatch of shape and range names tensor, place, both sizes")
  func sizeMismatch() {
    let header = "{\"t\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,20]}}"
    #expect(
      throws: FormatError(
        .sizeMismatch, subject: .tensor("t"), at: .headerByte(1), expected: "16 bytes for I32[2, 2]", found: "20 bytes")
    ) { _ = try readHeader(safetensors(header, dataSize: 20)) }
  }

  @Test("Checks come in the reference's order")
  func order() {
    func code(_ shape: String, _ offsets: String, type: String = "U8", data: Int = 0) -> String? {
      codeThrown {
        _ = try readHeader(
          safetensors(Self.entry(dtype: "\"\(type)\"", shape: shape, offsets: offsets), dataSize: data))
      }
    }
    #expect(code("[2,18446744073709551614]", "[1,0]") == "offsetsNotContiguous")
    #expect(code("[2,18446744073709551614]", "[0,0]") == "shapeOverflow")
    #expect(code("[2,9223372036854775807]", "[0,0]") == "shapeOverflow")
    #expect(code("[9223372036854775808,2,0]", "[0,0]") == "shapeOverflow")
    #expect(code("[3]", "[0,9]", type: "F4") == "misalignedSize")
    #expect(code("[2]", "[0,9]", type: "F6_E2M3") == "misalignedSize")
    #expect(code("[3]", "[0,9]") == "sizeMismatch")
    #expect(code("[3]", "[0,3]", data: 2) == "dataLengthMismatch")
    #expect(code("[3]", "[0,3]", data: 4) == "dataLengthMismatch")
    #expect(code("[1152921504606846976]", "[0,1152921504606846976]") == "dataLengthMismatch")
    #expect(code("[0]", "[18446744073709551615,18446744073709551615]") == "offsetsNotContiguous")
  }

  @Test("Empty tensors whose strides do not fit are refused, others are accepted")
  func hugeEmpty() throws {
    func header(_ shape: String) -> [UInt8] { safetensors(Self.entry(shape: shape, offsets: "[0,0]")) }
    #expect(try readHeader(header("[0,1099511627776]")).tensors.first?.shape == [0, 1 << 40])
    #expect(
      codeThrown { _ = try readHeader(header("[0,18446744073709551615,18446744073709551615]")) } == "shapeOverflow")
    #expect(codeThrown { _ = try readHeader(header("[0,4611686018427387904,4]")) } == "shapeOverflow")
  }

  @Test("Tensors come in the order of their bytes, whatever the order of the header")
  func byteOrder() throws {
    let header = try readHeader(
      safetensors(
        """
        {"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},
        "a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}
        """, dataSize: 3))
    #expect(header.tensors.map(\.name) == ["a", "z", "b"])
    #expect(header.tensors["b"]?.byteRange.count == 2)
    #expect(header.tensors["b"] == header.tensors[2])
    #expect(header.tensors["c"] == nil)
    #expect(header.tensors["a"]?.shape.rank == 0)
  }

  @Test(
    "Files of other formats are named",
    arguments: [
      ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 4321\n", "4321"),
      ("<!DOCTYPE html><html></html>", "web page"), ("  <HTML><body></body></HTML>", "web page"),
      ("PK\u{3}\u{4}aaaaaaaaaaaaa", "zip"), ("GGUF\u{3}\u{0}\u{0}\u{0}aaaaaaaaaaaa", "GGUF"),
      ("{\"a\": 1, \"b\": 2}", "JSON"),
    ])
  func otherFormats(text: String, named: String) {
    let error = #expect(throws: FormatError.self) { _ = try readHeader(Array(text.utf8)) }
    #expect(error?.code == .wrongFormat)
    #expect(error?.found?.contains(named) == true)
    #expect(error?.remedy != nil)
  }

  @Test(
    "Binary formats are named",
    arguments: [
      ([0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9], "pickle"),
      ([0x08, 0x08, 0x12, 0x07, 0x70, 0x79, 0x74, 0x6F, 0x72, 0x63, 0x68], "ONNX"),
      ([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 0x01, 0x00, 0x76], "NumPy"),
      ([0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0], "gzip"),
    ] as [([UInt8], String)])
  func otherBinaryFormats(bytes: [UInt8], named: String) {
    let error = #expect(throws: FormatError.self) { _ = try readHeader(bytes) }
    #expect(error?.code == .wrongFormat)
    #expect(error?.found?.contains(named) == true)
  }
}
