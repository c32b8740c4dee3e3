import PollardBase

/// A tokenizer as GGUF metadata: keys and typed values in the order in which they are written.
///
/// A plain value between two formats: made from Hugging Face files (`init(files:configuration:architecture:)`) or from the
/// `tokenizer.*` entries of a GGUF file (`init(entries:)`), turned into Hugging Face files by `huggingFaceFiles`.
///
/// Entries are merged into a file's metadata as gguf-py does it: a key that is there already keeps its place and takes the
/// new value, any other is appended.
public struct TokenizerMetadata: Sendable, Equatable {
  /// A value with its GGUF type.
  public enum Value: Sendable {
    /// A string.
    case string(String)
    /// An unsigned 32-bit number.
    case uint32(UInt32)
    /// A signed 32-bit number.
    case int32(Int32)
    /// A 32-bit float.
    case float32(Float)
    /// A truth value.
    case bool(Bool)
    /// An array of strings.
    case strings([String])
    /// An array of 32-bit floats.
    case floats([Float])
    /// An array of signed 32-bit numbers.
    case int32s([Int32])
    /// An array of bytes (type `u8`).
    case bytes([UInt8])
  }

  /// A key with its value.
  public struct Entry: Sendable, Equatable {
    /// The key.
    public let key: String
    /// The value.
    public var value: Value

    /// Pairs a key with a value.
    public init(key: String, value: Value) {
      self.key = key
      self.value = value
    }
  }

  /// The entries in order; every key occurs once.
  public private(set) var entries: [Entry] = []
  /// What a person should know about the conversion: full sentences, empty when there is nothing.
  public var notes: [String] = []
  /// How many rows of the embeddings belong to tokens, where the reference converter cuts the rest off (Gemma 3).
  public var embeddingRowCount: Int?

  /// No entries.
  public init() {}

  /// Entries of a file; of several with the same key the last counts, in the place of the first.
  public init(entries: some Sequence<Entry>) {
    for entry in entries { set(entry.key, entry.value) }
  }

  /// The value of a key.
  ///
  /// - Complexity: O(number of entries).
  public subscript(key: String) -> Value? { entries.first { haveSameBytes($0.key, key) }?.value }

  /// Sets a value: in place when the key is there, at the end otherwise.
  public mutating func set(_ key: String, _ value: Value) {
    if let position = entries.firstIndex(where: { haveSameBytes($0.key, key) }) {
      entries[position].value = value
    } else {
      entries.append(Entry(key: key, value: value))
    }
  }

  /// Adds a sentence to the notes, once.
  mutating func note(_ sentence: String) {
    if !notes.contains(sentence) { notes.append(sentence) }
  }
}

extension TokenizerMetadata.Value: Equatable {
  /// Same type and same content; strings are compared by their bytes, floats by their bits.
  public static func == (a: Self, b: Self) -> Bool {
    switch (a, b) {
    case (.string(let a), .string(let b)): haveSameBytes(a, b)
    case (.uint32(let a), .uint32(let b)): a == b
    case (.int32(let a), .int32(let b)): a == b
    case (.float32(let a), .float32(let b)): a.bitPattern == b.bitPattern
    case (.bool(let a), .bool(let b)): a == b
    case (.strings(let a), .strings(let b)): a.count == b.count && zip(a, b).allSatisfy(haveSameBytes)
    case (.floats(let a), .floats(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
    case (.int32s(let a), .int32s(let b)): a == b
    case (.bytes(let a), .bytes(let b)): a == b
    default: false
    }
  }
}

extension TokenizerMetadata {
  /// The string of a key, if it is one.
  public func string(_ key: String) -> String? {
    if case .string(let text)? = self[key] { text } else { nil }
  }

  /// The strings of a key, if it is an array of them.
  public func strings(_ key: String) -> [String]? {
    if case .strings(let texts)? = self[key] { texts } else { nil }
  }

  /// The truth value of a key, if it is one.
  public func flag(_ key: String) -> Bool? {
    if case .bool(let value)? = self[key] { value } else { nil }
  }

  /// The number of a key, if it is a 32-bit integer that is not negative.
  public func identifier(_ key: String) -> Int? {
    switch self[key] {
    case .uint32(let number)?: Int(number)
    case .int32(let number)? where number >= 0: Int(number)
    default: nil
    }
  }

  /// The tokens' texts, by id.
  public var tokens: [String] { strings(TokenizerKey.tokens) ?? [] }

  /// The number of tokens.
  public var tokenCount: Int { tokens.count }
}
