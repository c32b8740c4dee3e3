import PollardBase
import Testing

@Suite("JSON is parsed strictly")
struct JSONParsingTests {
  @Test(
    "What RFC 8259 allows is accepted",
    arguments: [
      "null", " true ", "false\n", "0", "-0", "-1.5e+10", "1E400", "\"\"", "[]", "{}", "[1, [2, {\"a\": null}]]",
      "{\"\": 1}", "\"\\u0000\\u001f\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\ud83d\\ude00\"", "\"\u{7F}\u{1F600}\"",
      "\t[\r1\n,2 ]",
    ])
  func accepts(text: String) throws { _ = try JSONValue(parsing: text) }

  @Test(
    "What RFC 8259 forbids is refused",
    arguments: [
      "", " ", "nul", "nulll", "True", "+1", "01", "-01", "-", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity",
      "[1,]", "[,1]", "[1 2]", "[1", "]", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{1:1}", "{\"a\" 1}",
      "\"", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"",
      "\"\u{1}\"",
      "1 2", "{} {}", "// c\n1", "/* c */1", "\u{FEFF}1", "[1]\u{0}", "\u{B}1", "\"\\",
    ])
  func refuses(text: String) {
    #expect(codeThrown { _ = try JSONValue(parsing: text) } == "malformedJSON")
  }

  @Test("Errors carry the byte")
  func positions() {
    #expect(throws: FormatError(.malformedJSON, at: .byte(4), expected: "a value", found: "\"x\"")) {
      _ = try JSONValue(parsing: "[1, x]")
    }
    #expect(throws: FormatError(.notUTF8, at: .byte(2))) { _ = try JSONValue(parsing: [0x22, 0x61, 0xFF, 0x22]) }
  }

  @Test("A key that occurs twice is refused with both places, however it is spelled")
  func duplicates() {
    #expect(throws: FormatError(.duplicateKey, subject: .key("ab"), at: .bytes(1, 9))) {
      _ = try JSONValue(parsing: "{\"ab\": 1,\"\\u0061b\": 2}")
    }
    let long = (0..<100).map { "\"k\($0)\":0" }.joined(separator: ",")
    #expect(codeThrown { _ = try JSONValue(parsing: "{\(long),\"k57\":1}") } == "duplicateKey")
  }

  @Test("Keys are told apart by bytes, not by canonical equivalence")
  func canonicalEquivalence() throws {
    let value = try JSONValue(parsing: "{\"\u{E9}\": 1, \"e\u{301}\": 2}")
    #expect(value.objectValue?.count == 2)
    #expect(value["\u{E9}"]?.intValue == 1)
    #expect(value["e\u{301}"]?.intValue == 2)
  }

  @Test("128 levels are accepted and 129 are not", arguments: ["[", "{\"a\":"])
  func depth(opening: String) {
    let closing = opening == "[" ? "]" : "}"
    func nested(_ levels: Int) -> String {
      String(repeating: opening, count: levels - 1) + (opening == "[" ? "[]" : "{}")
        + String(repeating: closing, count: levels - 1)
    }
    #expect(codeThrown { _ = try JSONValue(parsing: nested(128)) } == nil)
    #expect(codeThrown { _ = try JSONValue(parsing: nested(129)) } == "nestingTooDeep")
    #expect(codeThrown { _ = try JSONValue(parsing: nested(1_000_000)) } == "nestingTooDeep")
  }

  @Test(
    "Python's non-finite numbers are accepted on request, and keep their spelling",
    arguments: ["NaN", "Infinity", "-Infinity"])
  func nonFinite(text: String) throws {
    #expect(codeThrown { _ = try JSONValue(parsing: "[\(text)]") } == "malformedJSON")
    let value = try JSONValue(parsing: "[\(text)]", allowingNonFinite: true)
    #expect(value.serialized(.compact) == "[\(text)]")
    #expect(value[0]?.doubleValue?.isFinite == false)
  }

  @Test("Cut off or changed anywhere, a text gives an error or a value, never a trap")
  func mutations() throws {
    let text = Array("{\"a\": [1.5e-3, true, null, \"x\\u00e9\\n\u{E9}\"], \"b\": {\"c\": -0}}".utf8)
    for end in 0..<text.count { #expect(codeThrown { _ = try JSONValue(parsing: Array(text[..<end])) } != nil) }
    for position in text.indices {
      for byte in UInt8.min ... .max {
        var changed = text
        changed[position] = byte
        if let value = try? JSONValue(parsing: changed) {
          #expect(try JSONValue(parsing: value.serialized(.compact)) == value)
        }
      }
    }
  }
}

@Suite("UTF-8 is checked")
struct UTF8ValidationTests {
  @Test("The first ill-formed byte agrees with the standard library, at every alignment")
  func agreesWithStandardLibrary() {
    let sequences: [[UInt8]] = [
      [0x41], [0xC2, 0x80], [0xC1, 0x80], [0xC0, 0xAF], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xE0, 0x9F, 0xBF],
      [0xED, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
      [0xF4, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80], [0xFF], [0xE2, 0x82],
      [0xF0, 0x9F, 0x98],
    ]
    for sequence in sequences {
      for padding in 0..<18 {
        for trailing in [0, 1, 9] {
          let prefix = [UInt8](repeating: 0x61, count: padding)
          let bytes = prefix + sequence + [UInt8](repeating: 0x62, count: trailing)
          let offset = bytes.withUnsafeBytes { firstInvalidUTF8Offset($0) }
          let isValid = String(validating: bytes, as: UTF8.self) != nil
          #expect(offset == (isValid ? nil : padding), "\(bytes)")
        }
      }
    }
  }
}
