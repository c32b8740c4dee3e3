import PollardBase

/// The special tokens that a tokenizer puts around the ids of one text.
enum PostProcessor {
  /// The ids with special tokens, or nil when the post-processor is not known.
  static func processed(_ ids: [Int], by tokenizer: HuggingFaceTokenizer) -> [Int]? {
    if let addsBeginning = tokenizer.tokenizerClass.addsBeginning {
      var result = ids
      if tokenizer.configuration["add_bos_token"]?.boolValue ?? addsBeginning {
        guard let id = tokenizer.specialToken("bos").flatMap(tokenizer.identifier(of:)) else { return nil }
        result.insert(id, at: 0)
      }
      if tokenizer.configuration["add_eos_token"]?.boolValue ?? false {
        guard let id = tokenizer.specialToken("eos").flatMap(tokenizer.identifier(of:)) else { return nil }
        result.append(id)
      }
      return result
    }
    return processed(ids, by: tokenizer.json["post_processor"] ?? .null, tokenizer)
  }

  private static func processed(
    _ ids: [Int], by step: JSONValue, _ tokenizer: HuggingFaceTokenizer
  ) -> [Int]? {
    if step.isNull { return ids }
    switch step["type"]?.stringValue {
    case "ByteLevel": return ids
    case "Sequence":
      var result = ids
      for part in step["processors"]?.arrayValue ?? [] {
        guard let next = processed(result, by: part, tokenizer) else { return nil }
        result = next
      }
      return result
    case "RobertaProcessing", "BertProcessing":
      guard let first = step["cls"]?[1]?.intValue, let last = step["sep"]?[1]?.intValue else { return nil }
      return [first] + ids + [last]
    case "TemplateProcessing":
      var result: [Int] = []
      for part in step["single"]?.arrayValue ?? [] {
        if part["Sequence"] != nil {
          result += ids
        } else if let token = part["SpecialToken"]?["id"]?.stringValue {
          guard let added = specialIdentifiers(token, step, tokenizer) else { return nil }
          result += added
        }
      }
      return result
    default: return nil
    }
  }

  private static func specialIdentifiers(
    _ token: String, _ step: JSONValue, _ tokenizer: HuggingFaceTokenizer
  ) -> [Int]? {
    if let ids = step["special_tokens"]?[token]?["ids"]?.arrayValue { return ids.compactMap(\.intValue) }
    return tokenizer.identifier(of: token).map { [$0] }
  }
}
