import CheckpointFormats
import PollardBase
import TensorStorage

/// A checkpoint while it is written as GGUF: what rows and hooks of a family's table see of it.
struct GGUFWriting: Sendable {
  /// The family it is written as.
  var family: GGUFFamily
  /// The configuration.
  var config: JSONValue
  /// Its path, for messages.
  var file: String?
  /// The counts of every layer.
  var layers: [LayerSummary]
  /// The stored parameters by their names without base prefix.
  var weights: [String: Weight]
  /// `general.file_type`.
  var fileType: UInt32
  /// The number of tokens where rows of the embeddings beyond them go; nil where they stay.
  var vocabularyRows: Int?

  /// How sentence vectors are made of the tokens' states, by GGUF's number; nil where nothing is known of it.
  var pooling: Int?

  /// Refuses an activation that llama.cpp does not compute for the family.
  ///
  /// - Throws: `unsupportedConfiguration`.
  func requireActivation(_ known: [String], key: String, default value: String) throws(FormatError) {
    let name = config[key]?.stringValue ?? value
    guard !known.contains(name) else { return }
    throw FormatError(
      .unsupportedConfiguration, file: file, subject: .key(key),
      expected: "one of " + known.joined(separator: ", ") + ", which is what llama.cpp computes", found: "\"\(name)\"")
  }

  /// The width of a head.
  var headDim: Int { layers.first?.headDim ?? 0 }

  /// Whether the width of a head is another than the states' by the number of heads.
  var hasOtherHeadDim: Bool {
    guard let first = layers.first, let hidden = config["hidden_size"]?.intValue else { return false }
    return first.heads * first.headDim != hidden
  }

  /// The rows of a parameter, or nil when it is not stored.
  func rows(of name: String) -> Int? { weights[name]?.shape.extents.first }

  /// The value of the first key that is there; nil for null, and where none is.
  func first(_ keys: [String]) -> JSONValue? {
    guard let value = keys.lazy.compactMap({ config[$0] }).first, !value.isNull else { return Optional.none }
    return value
  }

  /// What transforms need to know.
  func context(layer: Int?) -> GGUFTransform.Context {
    GGUFTransform.Context(
      layer: layer.flatMap { layers.indices.contains($0) ? layers[$0] : nil },
      positionOffset: family.positionOffset(config), vocabularyRows: vocabularyRows)
  }

  /// The keys of rows of a table.
  ///
  /// - Throws: `configurationValue` for a value that is not of the key's type, and what rules throw.
  func entries(_ rows: [GGUFMetadataRow]) throws(FormatError) -> [GGUFMetadata.Entry] {
    var entries: [GGUFMetadata.Entry] = []
    for row in rows {
      let key = row.fullKey(family.architecture)
      switch row.source {
      case .entries(let rule): entries += try rule(self)
      case .fileType: entries.append(GGUFMetadata.Entry(key, .uint32(fileType)))
      case .layers(let count):
        let counts = layers.map { count($0) }
        entries.append(GGUFMetadata.Entry(key, GGUFValue(layerCounts: counts)))
      case .fixed(let value): entries.append(GGUFMetadata.Entry(key, try row.value(value)))
      case .computed(let rule):
        if let value = try rule(self), !value.isNull { entries.append(GGUFMetadata.Entry(key, try row.value(value))) }
      case .config(let keys, let value):
        let isThere = keys.contains { config[$0] != nil }
        if let value = isThere ? first(keys) : value {
          entries.append(GGUFMetadata.Entry(key, try row.value(value)))
        }
      }
    }
    return entries
  }
}

extension GGUFValue {
  /// Counts of layers: one number where they agree, else an array.
  init(layerCounts counts: [Int]) {
    if let first = counts.first, counts.allSatisfy({ $0 == first }) {
      self = .uint32(UInt32(clamping: first))
    } else {
      self = .array(GGUFArray(counts.map { Int32(clamping: $0) }))
    }
  }
}
