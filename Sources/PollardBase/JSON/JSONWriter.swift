extension JSONValue {
  /// How a JSON text is laid out.
  public enum Layout: Sendable {
    /// No white space: Python's `separators=(",", ":")`.
    case compact
    /// Two spaces of indentation: Python's `indent=2`.
    case pretty
  }

  /// How characters beyond ASCII are written in strings.
  public enum StringStyle: Sendable {
    /// As `\u` escapes: Python's `ensure_ascii=True`, its default.
    case ascii
    /// As they are: Python's `ensure_ascii=False`.
    case unicode

    /// The style that gives a text back: `.unicode` when it holds bytes beyond ASCII.
    public static func matching(_ bytes: [UInt8]) -> StringStyle {
      bytes.contains { $0 >= 0x80 } ? .unicode : .ascii
    }
  }

  /// The JSON text of the value, without a newline at the end.
  ///
  /// Members keep their order and numbers their spelling, so a text of Python's `json.dumps` comes back byte for byte.
  ///
  /// - Complexity: O(n).
  public func serialized(_ layout: Layout = .pretty, strings: StringStyle = .ascii) -> String {
    String(decoding: serializedBytes(layout, strings: strings), as: UTF8.self)
  }

  /// The bytes of the JSON text of the value, without a newline at the end.
  public func serializedBytes(_ layout: Layout = .pretty, strings: StringStyle = .ascii) -> [UInt8] {
    var output: [UInt8] = []
    write(to: &output, layout: layout, strings: strings, depth: 0)
    return output
  }

  private func write(to output: inout [UInt8], layout: Layout, strings: StringStyle, depth: Int) {
    switch self {
    case .null: output.append(contentsOf: "null".utf8)
    case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
    case .number(let number): output.append(contentsOf: number.text.utf8)
    case .string(let text): appendJSONString(text, style: strings, to: &output)
    case .array(let elements):
      output.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        breakLine(in: &output, layout: layout, depth: depth + 1)
        element.write(to: &output, layout: layout, strings: strings, depth: depth + 1)
      }
      if !elements.isEmpty { breakLine(in: &output, layout: layout, depth: depth) }
      output.append(UInt8(ascii: "]"))
    case .object(let object):
      output.append(UInt8(ascii: "{"))
      for (index, member) in object.members.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        breakLine(in: &output, layout: layout, depth: depth + 1)
        appendJSONString(member.key, style: strings, to: &output)
        output.append(UInt8(ascii: ":"))
        if layout == .pretty { output.append(UInt8(ascii: " ")) }
        member.value.write(to: &output, layout: layout, strings: strings, depth: depth + 1)
      }
      if !object.isEmpty { breakLine(in: &output, layout: layout, depth: depth) }
      output.append(UInt8(ascii: "}"))
    }
  }

  private func breakLine(in output: inout [UInt8], layout: Layout, depth: Int) {
    guard layout == .pretty else { return }
    output.append(UInt8(ascii: "\n"))
    output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * depth))
  }
}

/// Appends a string with its quotation marks.
///
/// Escaped are the quotation mark, the backslash and controls below U+0020 (short forms where JSON has them); in the ASCII
/// style also DEL and everything above it, as UTF-16 units in lower-case hexadecimal.
package func appendJSONString(_ text: String, style: JSONValue.StringStyle, to output: inout [UInt8]) {
  output.append(UInt8(ascii: "\""))
  for scalar in text.unicodeScalars {
    switch scalar.value {
    case 0x22: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "\"")])
    case 0x5C: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "\\")])
    case 0x08: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "b")])
    case 0x09: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "t")])
    case 0x0A: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
    case 0x0C: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "f")])
    case 0x0D: output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "r")])
    case 0x00..<0x20: appendUnicodeEscape(UInt16(truncatingIfNeeded: scalar.value), to: &output)
    case 0x20..<0x7F: output.append(UInt8(truncatingIfNeeded: scalar.value))
    default:
      switch style {
      case .unicode: output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      case .ascii:
        for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { appendUnicodeEscape(unit, to: &output) }
      }
    }
  }
  output.append(UInt8(ascii: "\""))
}

private func appendUnicodeEscape(_ unit: UInt16, to output: inout [UInt8]) {
  let digits = Array("0123456789abcdef".utf8)
  output.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "u")])
  for shift in [12, 8, 4, 0] { output.append(digits[Int(unit >> shift & 0xF)]) }
}
