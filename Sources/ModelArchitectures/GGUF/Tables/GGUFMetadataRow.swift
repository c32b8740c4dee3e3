import CheckpointFormats
import PollardBase

/// One metadata key and where its value comes from in a configuration.
struct GGUFMetadataRow: Sendable {
  /// The exact type the loader wants.
  enum ValueType: Sendable, Hashable {
    /// `uint32`.
    case count
    /// `float32`.
    case number
    /// `bool`.
    case flag
    /// `string`.
    case text
  }

  /// Where a value comes from when GGUF is written.
  enum Source: Sendable {
    /// The first of several configuration keys that is there; else the class's default. Nothing is written when neither is, or for null.
    case config([String], default: JSONValue?)
    /// The same value in every model.
    case fixed(JSONValue)
    /// The counts of the layers: one number where they agree, else an array.
    case layers(LayerCount)
    /// A value that a rule computes; nil for none.
    case computed(@Sendable (GGUFWriting) throws(FormatError) -> JSONValue?)
    /// Several keys in a row that a rule computes.
    case entries(@Sendable (GGUFWriting) throws(FormatError) -> [GGUFMetadata.Entry])
    /// The number of the mix of types, `general.file_type`.
    case fileType
  }

  /// A count that differs between layers where the loader allows.
  enum LayerCount: Sendable, Hashable {
    case heads, keyValueHeads, feedForward

    func callAsFunction(_ layer: LayerSummary) -> Int {
      switch self {
      case .heads: layer.heads
      case .keyValueHeads: layer.keyValueHeads
      case .feedForward: layer.feedForward
      }
    }
  }

  /// The key; `{arch}.` stands before it unless it begins with `general.`.
  var key: String
  var type: ValueType
  var source: Source
  /// The configuration key that a value is read into; nil for none.
  var configKey: String?
  /// The value where the file has no such key; nil leaves the configuration key out.
  var fallback: JSONValue?
  /// Whether the loader refuses a file without the key.
  var isRequired = false

  /// A count from the first of several configuration keys.
  static func count(
    _ key: String, _ configKeys: String..., default value: Int? = nil, required: Bool = false, fallback: Int? = nil
  ) -> GGUFMetadataRow {
    GGUFMetadataRow(
      key: key, type: .count, source: .config(configKeys, default: value.map { JSONValue($0) }),
      configKey: configKeys.first, fallback: fallback.map { JSONValue($0) }, isRequired: required)
  }

  /// A number from the first of several configuration keys.
  static func number(
    _ key: String, _ configKeys: String..., default value: Double? = nil, required: Bool = false,
    fallback: Double? = nil
  ) -> GGUFMetadataRow {
    GGUFMetadataRow(
      key: key, type: .number, source: .config(configKeys, default: value.map { JSONValue($0) }),
      configKey: configKeys.first, fallback: fallback.map { JSONValue($0) }, isRequired: required)
  }

  /// A truth value from the first of several configuration keys.
  static func flag(
    _ key: String, _ configKeys: String..., default value: Bool? = nil, required: Bool = false
  ) -> GGUFMetadataRow {
    GGUFMetadataRow(
      key: key, type: .flag, source: .config(configKeys, default: value.map { JSONValue($0) }),
      configKey: configKeys.first, isRequired: required)
  }

  /// The same value in every model; read back into nothing.
  static func fixed(_ key: String, _ type: ValueType, _ value: JSONValue) -> GGUFMetadataRow {
    GGUFMetadataRow(key: key, type: type, source: .fixed(value))
  }

  /// A value that a rule computes.
  static func computed(
    _ key: String, _ type: ValueType, into configKey: String? = nil, required: Bool = false,
    _ rule: @escaping @Sendable (GGUFWriting) throws(FormatError) -> JSONValue?
  ) -> GGUFMetadataRow {
    GGUFMetadataRow(key: key, type: type, source: .computed(rule), configKey: configKey, isRequired: required)
  }

  /// Several keys that a rule computes; they are read by `completeConfiguration`.
  static func entries(
    _ name: String, _ rule: @escaping @Sendable (GGUFWriting) throws(FormatError) -> [GGUFMetadata.Entry]
  ) -> GGUFMetadataRow {
    GGUFMetadataRow(key: name, type: .text, source: .entries(rule))
  }

  /// Query heads.
  static func heads(_ configKey: String) -> GGUFMetadataRow {
    GGUFMetadataRow(
      key: "attention.head_count", type: .count, source: .layers(.heads), configKey: configKey, isRequired: true)
  }

  /// Key/value heads.
  static func keyValueHeads(_ configKey: String?) -> GGUFMetadataRow {
    GGUFMetadataRow(
      key: "attention.head_count_kv", type: .count, source: .layers(.keyValueHeads), configKey: configKey)
  }

  /// The feed-forward width.
  static func feedForward(_ configKey: String?) -> GGUFMetadataRow {
    GGUFMetadataRow(
      key: "feed_forward_length", type: .count, source: .layers(.feedForward), configKey: configKey, isRequired: true)
  }

  /// The number of the mix of types.
  static let fileType = GGUFMetadataRow(key: "general.file_type", type: .count, source: .fileType)

  /// The key with its architecture.
  func fullKey(_ architecture: String) -> String {
    key.hasPrefix("general.") || key.hasPrefix("tokenizer.") ? key : "\(architecture).\(key)"
  }

  /// A value in the type that the loader wants.
  ///
  /// - Throws: `configurationValue` for a value that is none of the type.
  func value(_ value: JSONValue) throws(FormatError) -> GGUFValue {
    switch type {
    case .count:
      if let number = value.intValue.flatMap({ UInt32(exactly: $0) }) { return .uint32(number) }
      // Sizes that a configuration has as 64.0.
      if let double = value.doubleValue, let number = UInt32(exactly: double) { return .uint32(number) }
    case .number: if let number = value.doubleValue { return .float32(Float(number)) }
    case .flag: if let flag = value.boolValue { return .bool(flag) }
    case .text: if let text = value.stringValue { return .string(text) }
    }
    throw FormatError(
      .configurationValue, subject: .key(key), expected: "a value for \(type)", found: value.serialized(.compact))
  }
}

extension GGUFMetadataRow.ValueType: CustomStringConvertible {
  var description: String {
    switch self {
    case .count: "uint32"
    case .number: "float32"
    case .flag: "bool"
    case .text: "string"
    }
  }
}
