import PollardBase

/// Where configurations name ids of tokens.
///
/// A key is known by its ending (`eos_token_id`, `stop_token_ids`, `image_token_index`) or by its name (`suppress_tokens`). Its value is a number, or
/// numbers in lists of any depth, or one of the two forms that mix ids with other numbers.
enum TokenIdentifiers {
  private enum Form {
    /// Every number is an id.
    case numbers
    /// Pairs of a place and an id: `forced_decoder_ids`.
    case placed
    /// Pairs of a list of ids and a number: `sequence_bias`.
    case biased
    /// An object whose values are ids: `lang_to_id`.
    case values
  }

  private static let endings = ["_token_id", "_token_ids", "_tokens_ids", "_token_index"]
  private static let names: [String: Form] = [
    "suppress_tokens": .numbers, "begin_suppress_tokens": .numbers, "bad_words_ids": .numbers,
    "force_words_ids": .numbers, "forced_decoder_ids": .placed, "sequence_bias": .biased, "lang_to_id": .values,
    "task_to_id": .values, "lang_code_to_id": .values, "pad_id": .numbers,
  ]

  private static func form(of key: String) -> Form? {
    names[key] ?? (endings.contains(where: key.hasSuffix) ? .numbers : nil)
  }

  /// The ids that a configuration names, those of nested objects too.
  static func all(in value: JSONValue) -> [Int] {
    var result: [Int] = []
    _ = mapped(value) { id in
      result.append(id)
      return id
    }
    return result
  }

  /// The configuration with every id replaced; nothing else changes, and an id that stays keeps its spelling.
  static func mapped(_ value: JSONValue, _ transform: (Int) -> Int) -> JSONValue {
    switch value {
    case .array(let elements): return .array(elements.map { mapped($0, transform) })
    case .object(var object):
      for member in object.members {
        object.set(
          member.key,
          to: form(of: member.key).map { mapped(member.value, as: $0, transform) } ?? mapped(member.value, transform))
      }
      return .object(object)
    default: return value
    }
  }

  private static func mapped(_ value: JSONValue, as form: Form, _ transform: (Int) -> Int) -> JSONValue {
    switch form {
    case .numbers:
      if let list = value.arrayValue { return .array(list.map { mapped($0, as: .numbers, transform) }) }
      guard let id = value.intValue else { return value }
      let new = transform(id)
      return new == id ? value : JSONValue(new)
    case .placed, .biased:
      let place = form == .placed ? 1 : 0
      guard let pairs = value.arrayValue else { return value }
      return .array(
        pairs.map { pair in
          guard var parts = pair.arrayValue, parts.count == 2 else { return pair }
          parts[place] = mapped(parts[place], as: .numbers, transform)
          return .array(parts)
        })
    case .values:
      guard let object = value.objectValue else { return value }
      return .object(JSONObject(object.map { (key: $0.key, value: mapped($0.value, as: .numbers, transform)) }))
    }
  }

  /// Keys of a configuration that may name ids and are not understood, in the order of the file.
  static func doubtfulKeys(in value: JSONValue) -> [String] {
    guard let object = value.objectValue else { return (value.arrayValue ?? []).flatMap(doubtfulKeys) }
    return object.members.flatMap { member -> [String] in
      if let form = form(of: member.key) { return isUnderstood(member.value, as: form) ? [] : [member.key] }
      let words = member.key.split(separator: "_")
      let looksLikeIdentifiers =
        words.last.map { ["id", "ids", "index", "indices"].contains($0) } ?? false
        || words.contains("token") && words.count > 1
      let isNumbers =
        member.value.intValue != nil
        || member.value.arrayValue.map { !$0.isEmpty && $0.allSatisfy { $0.intValue != nil } } ?? false
      return (looksLikeIdentifiers && isNumbers ? [member.key] : []) + doubtfulKeys(in: member.value)
    }
  }

  private static func isUnderstood(_ value: JSONValue, as form: Form) -> Bool {
    switch form {
    case .numbers:
      return value.isNull || value.intValue != nil
        || value.arrayValue.map { $0.allSatisfy { isUnderstood($0, as: form) } } ?? false
    case .placed, .biased:
      return value.isNull || value.arrayValue.map { $0.allSatisfy { $0.arrayValue?.count == 2 } } ?? false
    case .values: return value.isNull || value.objectValue.map { $0.allSatisfy { $0.value.intValue != nil } } ?? false
    }
  }

  /// The ids that a class takes where its configuration has no such key.
  ///
  /// Source: the constructors of the configuration classes of transformers 4.57 and 5.23.
  static func classDefaults(_ modelType: String) -> [(key: String, id: Int)] {
    let first: [(key: String, id: Int)]
    switch modelType {
    case "bert", "distilbert": first = [("pad_token_id", 0)]
    case "roberta", "xlm-roberta", "seed_oss":
      first = [("pad_token_id", 1), ("bos_token_id", 0), ("eos_token_id", 2)]
    case "gpt2": first = [("bos_token_id", 50256), ("eos_token_id", 50256)]
    case "llama", "mistral", "bloom": first = [("bos_token_id", 1), ("eos_token_id", 2)]
    case "gemma", "gemma2", "gemma3_text":
      first = [("pad_token_id", 0), ("eos_token_id", 1), ("bos_token_id", 2)]
    case "phi3": first = [("bos_token_id", 1), ("eos_token_id", 32000), ("pad_token_id", 32000)]
    case "gpt_neox": first = [("bos_token_id", 0), ("eos_token_id", 2)]
    case "falcon": first = [("bos_token_id", 11), ("eos_token_id", 11)]
    case "t5": first = [("pad_token_id", 0), ("eos_token_id", 1)]
    case "stablelm": first = [("bos_token_id", 0), ("eos_token_id", 0)]
    default: first = []
    }
    return first
  }
}

extension TokenizerFiles {
  /// The keys of a document by which ids of tokens are usually named, in the order of the file.
  public static func keysOfIdentifiers(in value: JSONValue) -> [String] {
    guard let object = value.objectValue else { return (value.arrayValue ?? []).flatMap(keysOfIdentifiers) }
    return object.members.flatMap { member in
      TokenIdentifiers.all(in: .object([member.key: member.value])).isEmpty
        ? [] : member.value.objectValue == nil ? [member.key] : keysOfIdentifiers(in: member.value)
    }
  }
}
