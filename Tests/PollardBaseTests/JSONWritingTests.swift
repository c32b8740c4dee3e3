import PollardBase
import Testing

@Suite("JSON is written as Python writes it")
struct JSONWritingTests {
  /// Every configuration that transformers wrote into the golden set.
  static let configurations: [String] = {
    let golden = Paths.join(Paths.parent(Paths.parent(Paths.parent(#filePath))), "golden")
    func search(_ folder: String) -> [String] {
      let names = (try? Directories.names(in: folder)) ?? []
      return names.flatMap { name -> [String] in
        let path = Paths.join(folder, name)
        // Configurations written by hand are not transformers'.
        if Directories.kind(of: path) == .directory { return name == "gguf-tokenizers" ? [] : search(path) }
        return name == "config.json" || name.hasSuffix(".index.json") ? [path] : []
      }
    }
    return search(golden)
  }()

  @Test("The golden set has configurations")
  func hasConfigurations() { #expect(Self.configurations.count > 10) }

  @Test("A configuration of transformers comes back byte for byte", arguments: configurations)
  func configurationRoundTrip(path: String) throws {
    let source = try FileSource(path: path)
    let bytes = try source.bytes(0..<source.size)
    let value = try JSONValue(parsing: bytes, allowingNonFinite: true)
    #expect(value.serializedBytes(.pretty, strings: .matching(bytes)) + [0x0A] == bytes)
  }

  /// Output of Python 3.11: `json.dumps({…}, indent=2)` and the same with `ensure_ascii=False`.
  @Test("Strings, numbers and empty containers look as in json.dumps(indent=2)")
  func python() throws {
    let ascii = #"""
      {
        "a\u00e9\ud83d\ude00\u007f\"\\/\b\f\n\r\t\u0001": [],
        "b": {},
        "c": [
          1,
          1e-05,
          1e+16,
          [
            NaN,
            -Infinity
          ]
        ],
        "d": {
          "e": null,
          "f": false
        }
      }
      """#
    let value = try JSONValue(parsing: ascii, allowingNonFinite: true)
    #expect(value.serialized() == ascii)
    let unicode = ascii.replacing(#"\u00e9\ud83d\ude00\u007f"#, with: "\u{E9}\u{1F600}\u{7F}")
    #expect(try JSONValue(parsing: unicode, allowingNonFinite: true) == value)
    #expect(value.serialized(strings: .unicode) == unicode)
    #expect(
      value.serialized(.compact)
        == #"{"a\u00e9\ud83d\ude00\u007f\"\\/\b\f\n\r\t\u0001":[],"b":{},"c":[1,1e-05,1e+16,[NaN,-Infinity]],"d":{"e":null,"f":false}}"#
    )
  }

  @Test(
    "Numbers keep their spelling",
    arguments: ["0", "-0", "1.0", "1e5", "1E+05", "0.10", "123456789012345678901234567890"])
  func spelling(text: String) throws {
    #expect(try JSONValue(parsing: text).serialized() == text)
  }

  /// Right: Python 3.11's `repr`.
  @Test(
    "Doubles are spelled as Python spells them",
    arguments: [
      (1e-5, "1e-05"), (1e-4, "0.0001"), (0.1, "0.1"), (1.0, "1.0"), (-0.0, "-0.0"), (1e15, "1000000000000000.0"),
      (1e16, "1e+16"), (123456789.125, "123456789.125"), (1.5e300, "1.5e+300"), (1e-100, "1e-100"),
      (.leastNonzeroMagnitude, "5e-324"),
      (9007199254740993.0, "9007199254740992.0"), (12345678901234567.0, "1.2345678901234568e+16"), (0.02, "0.02"),
      (1.7976931348623157e308, "1.7976931348623157e+308"), (10000.0, "10000.0"), (0.00012345, "0.00012345"),
    ])
  func doubles(value: Double, spelled: String) {
    #expect(JSONNumber(value).text == spelled)
    #expect(JSONNumber(value).doubleValue == value)
  }

  @Test(
    "Whole numbers are read exactly or not at all",
    arguments: [
      ("9223372036854775807", Int.max), ("9223372036854775808", nil), ("4.0", 4), ("4e2", 400), ("4.5", nil),
      ("1e400", nil),
      ("-0", 0), ("9007199254740993.0", 9_007_199_254_740_992), ("1e300", nil),
    ] as [(String, Int?)])
  func whole(text: String, value: Int?) throws { #expect(try JSONValue(parsing: text).intValue == value) }

  @Test("Changing one key leaves the others where they are")
  func editing() throws {
    let value = try JSONValue(parsing: "{\"z\": 1, \"a\": 2.50, \"m\": [true]}")
    #expect(value.settingKey("a", to: 7).serialized(.compact) == #"{"z":1,"a":7,"m":[true]}"#)
    #expect(
      value.settingKey("n", to: ["x": nil]).serialized(.compact) == #"{"z":1,"a":2.50,"m":[true],"n":{"x":null}}"#)
    #expect(value.removingKey("z").serialized(.compact) == #"{"a":2.50,"m":[true]}"#)
    #expect(value.removingKey("absent") == value)
  }

  @Test("Long objects find, replace and remove their keys")
  func longObjects() {
    var object = JSONObject()
    for number in 0..<1000 { object.set("k\(number)", to: JSONValue(number)) }
    for number in stride(from: 0, to: 1000, by: 3) { object.remove("k\(number)") }
    object.set("k1", to: "one")
    #expect(object.count == 666)
    #expect(object["k1"] == "one")
    #expect(object["k3"] == nil)
    #expect(object["k998"]?.intValue == 998)
    #expect(object.keys.prefix(3) == ["k1", "k2", "k4"])
  }
}
