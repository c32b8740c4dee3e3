import CheckpointFormats
import ModelArchitectures
import PollardBase
import TensorStorage

/// Reads lists of tokens.
///
/// | content | read as |
/// |---|---|
/// | NumPy, safetensors or PyTorch arrays | ids; where arrays are called `…input_ids`, those alone |
/// | JSON, one value or one to a line | numbers are ids, strings tokens, in lists of any depth; of objects only `…input_ids` |
/// | lines of decimal numbers, white space or commas between them | ids |
/// | any other text | one token to a line, spelled as in the tokenizer's files |
enum TokenListFile {
  /// Text is held in memory; arrays are not.
  private static let textLimit = 1 << 30

  /// The tokens of a file, each once; ids first.
  ///
  /// - Parameter takesTexts: whether tokens may be given by their text.
  /// - Throws: `unknownTokenList`, and what reading the file throws.
  static func read(_ path: String, takesTexts: Bool) throws -> [TokenSelection.Name] {
    let source = try FileSource(path: path)
    var list = TokenList(file: path, takesTexts: takesTexts)
    let isNumPy = try NumPyFile.recognizes(source)
    let isPyTorch = try PyTorchFile.recognizes(source)
    if try isNumPy || isPyTorch || isSafetensors(source) {
      try readArrays(TensorFile.namedWeights(source), &list)
    } else {
      guard source.size <= textLimit else {
        throw list.refusal(expected: "at most 1 GiB of text", found: humanBytes(source.size), "store the ids as .npy")
      }
      try readText(try source.bytes(0..<source.size), &list)
    }
    let names = list.names
    guard !names.isEmpty else { throw list.refusal(expected: "at least one token", found: "none") }
    return names
  }

  /// Whether a file begins with the length of a header inside it, and an object.
  private static func isSafetensors(_ source: FileSource) throws(FormatError) -> Bool {
    guard source.size > 9 else { return false }
    let start = try source.bytes(0..<9)
    let length = start[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return start[8] == UInt8(ascii: "{") && length <= UInt64(source.size - 8)
  }

  private static func readArrays(_ arrays: [(name: String, weight: Weight)], _ list: inout TokenList) throws {
    let named = arrays.filter { $0.name.hasSuffix("input_ids") }
    for (name, weight) in named.isEmpty ? arrays : named {
      guard [.i64, .i32, .i16, .i8, .u8, .u16, .u32, .u64].contains(weight.type), weight.type.canBeCast(to: .i64) else {
        throw CompactionError(
          .unknownTokenList, file: list.file, subject: .tensor(name), expected: "whole numbers", found: "\(weight.type)"
        )
      }
      let numbers = weight.cast(to: .i64)
      let total = numbers.shape.elementCount
      let step = 1 << 18
      var buffer = [Int64](repeating: 0, count: min(step, total))
      var scratch = EvaluationScratch()
      var start = 0
      while start < total {
        let count = min(step, total - start)
        try buffer.withUnsafeMutableBytes { bytes in
          try numbers.read(
            elements: start..<start + count, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<(count * 8)]),
            scratch: &scratch)
        }
        for id in buffer[..<count] { try list.add(Int(id)) }
        start += count
      }
    }
  }

  private static func readText(_ bytes: [UInt8], _ list: inout TokenList) throws {
    if let offset = bytes.withUnsafeBytes(firstInvalidUTF8Offset) {
      throw FormatError(.notUTF8, file: list.file, at: .byte(offset))
    }
    let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    if first == UInt8(ascii: "{") || first == UInt8(ascii: "["), try readJSON(bytes, &list) { return }
    let isNumeric = bytes.allSatisfy { (0x30...0x39).contains($0) || isSeparator($0) }
    if isNumeric || !list.takesTexts { return try readNumbers(bytes, &list) }
    for line in bytes.split(separator: 0x0A) {
      let text = line.last == 0x0D ? line.dropLast() : line
      if !text.isEmpty { try list.add(String(decoding: text, as: UTF8.self)) }
    }
  }

  private static func readNumbers(_ bytes: [UInt8], _ list: inout TokenList) throws {
    var start = 0
    while start < bytes.count {
      guard !isSeparator(bytes[start]) else {
        start += 1
        continue
      }
      var end = start
      var id: Int? = 0
      while end < bytes.count, !isSeparator(bytes[end]) {
        let digit = bytes[end]
        id = id.flatMap { number in
          guard (0x30...0x39).contains(digit) else { return nil }
          let (tens, overflows) = number.multipliedReportingOverflow(by: 10)
          let (sum, overflowsToo) = tens.addingReportingOverflow(Int(digit) - 0x30)
          return overflows || overflowsToo ? nil : sum
        }
        end += 1
      }
      guard let id else {
        throw list.refusal(
          expected: "ids of tokens",
          found: "\"\(String(decoding: bytes[start..<min(end, start + 40)], as: UTF8.self))\"",
          "encode the corpus with the model's tokenizer first")
      }
      try list.add(id)
      start = end
    }
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x2C || byte == 0x09 || byte == 0x0D
  }

  /// False for a text that only begins as JSON does, as a list of tokens may.
  private static func readJSON(_ bytes: [UInt8], _ list: inout TokenList) throws -> Bool {
    if let value = try? JSONValue(parsing: bytes) {
      try list.add(value)
      return true
    }
    var values: [JSONValue] = []
    for line in bytes.split(separator: 0x0A) {
      guard let value = try? JSONValue(parsing: Array(line)), value.arrayValue != nil || value.objectValue != nil else {
        return false
      }
      values.append(value)
    }
    for value in values { try list.add(value) }
    return true
  }
}

/// Tokens as they come in, each once.
private struct TokenList {
  let file: String
  let takesTexts: Bool
  /// Whether an id has come, for ids that vocabularies have.
  private var isSeen: [Bool] = []
  /// Larger ids, which no model has.
  private var others: Set<Int> = []
  private static let usual = 1 << 22
  private var texts: [String] = []
  private var known: Set<ExactString> = []

  init(file: String, takesTexts: Bool) {
    self.file = file
    self.takesTexts = takesTexts
  }

  var names: [TokenSelection.Name] {
    (isSeen.indices.filter { isSeen[$0] } + others.sorted()).map { .identifier($0) } + texts.map { .text($0) }
  }

  mutating func add(_ id: Int) throws(CompactionError) {
    guard id >= 0 else { throw refusal(expected: "ids from 0 on", found: "\(id)") }
    if id < Self.usual {
      if isSeen.isEmpty { isSeen = Array(repeating: false, count: Self.usual) }
      isSeen[id] = true
    } else {
      others.insert(id)
    }
  }

  mutating func add(_ text: String) throws(CompactionError) {
    guard takesTexts else {
      throw refusal(
        expected: "ids of tokens", found: "\"\(text.prefix(40))\"", "encode the corpus with the model's tokenizer first"
      )
    }
    if known.insert(ExactString(text)).inserted { texts.append(text) }
  }

  mutating func add(_ value: JSONValue) throws(CompactionError) {
    switch value {
    case .string(let text): try add(text)
    case .array(let elements): for element in elements { try add(element) }
    case .object(let object):
      for member in object.members where member.key.hasSuffix("input_ids") { try add(member.value) }
    default:
      guard let id = value.intValue else {
        throw refusal(expected: "ids and texts of tokens", found: value.serialized(.compact))
      }
      try add(id)
    }
  }

  func refusal(expected: String, found: String, _ remedy: String? = nil) -> CompactionError {
    CompactionError(.unknownTokenList, file: file, expected: expected, found: found, remedy: remedy)
  }
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// A file that is to list tokens holds something else.
  public static let unknownTokenList = Self("unknownTokenList", "this is not a list of tokens")
  /// An input holds a token that the smaller vocabulary does not have.
  public static let tokenRemoved = Self("tokenRemoved", "the smaller vocabulary does not have this token")
}
