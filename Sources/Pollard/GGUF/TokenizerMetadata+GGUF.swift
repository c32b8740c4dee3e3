import CheckpointFormats
import ModelArchitectures
import PollardBase

extension TokenizerMetadata {
  /// The tokenizer's entries of a file's metadata; values of other types than tokenizers have are left out.
  init(_ metadata: GGUFMetadata) {
    self.init(
      entries: metadata.entries.compactMap { entry in
        guard entry.key.hasPrefix("tokenizer."), let value = Value(entry.value) else { return nil }
        return Entry(key: entry.key, value: value)
      })
  }

  /// The entries as a file's metadata has them.
  var ggufEntries: [GGUFMetadata.Entry] { entries.map { GGUFMetadata.Entry($0.key, GGUFValue($0.value)) } }
}

extension TokenizerMetadata.Value {
  fileprivate init?(_ value: GGUFValue) {
    switch value {
    case .string: self = .string(value.text ?? "")
    case .uint32(let number): self = .uint32(number)
    case .int32(let number): self = .int32(number)
    case .float32(let number): self = .float32(number)
    case .bool(let flag): self = .bool(flag)
    case .array(let array):
      switch array.elementType {
      case .string: self = .strings(array.strings ?? [])
      case .float32: self = .floats(array.floats ?? [])
      case .int32: self = .int32s((array.integers ?? []).map { Int32(clamping: $0) })
      case .uint8, .int8: self = .bytes(array.bytes)
      default: return nil
      }
    default: return nil
    }
  }
}

extension GGUFValue {
  fileprivate init(_ value: TokenizerMetadata.Value) {
    switch value {
    case .string(let text): self = .string(text)
    case .uint32(let number): self = .uint32(number)
    case .int32(let number): self = .int32(number)
    case .float32(let number): self = .float32(number)
    case .bool(let flag): self = .bool(flag)
    case .strings(let texts): self = .array(GGUFArray(texts))
    case .floats(let numbers): self = .array(GGUFArray(numbers))
    case .int32s(let numbers): self = .array(GGUFArray(numbers))
    case .bytes(let bytes): self = .array(GGUFArray(bytes))
    }
  }
}
