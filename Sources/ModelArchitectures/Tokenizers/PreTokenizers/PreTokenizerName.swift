import PollardBase

extension TokenizerConversion {
  /// The value of `tokenizer.ggml.pre`.
  ///
  /// By the digest of what the tokenizer makes of the stress text; else, with a note, by the shape of its pre-tokenizer.
  ///
  /// - Throws: `unknownPreTokenizer`.
  mutating func preTokenizerName(_ tokenizer: HuggingFaceTokenizer) throws(FormatError) -> String {
    if let preTokenizer { return preTokenizer }
    if let digest = PreTokenizerDigests.digest(of: tokenizer), let name = PreTokenizerDigests.names[digest] {
      return name
    }
    // Loaders read the name of a byte-level BPE only; this is the one that BERT's own vocabulary has.
    guard tokenizer.algorithm == .bytePair else { return "jina-v2-en" }
    guard let name = nameByShape(tokenizer) else {
      throw FormatError(
        .unknownPreTokenizer, file: "tokenizer.json", subject: .key("pre_tokenizer"),
        expected: "a pre-tokenizer of a known model family",
        found: tokenizer.json["pre_tokenizer"]?["type"]?.stringValue ?? "none",
        remedy: "say which one to write: \(PreTokenizerForm.all.compactMap(\.names.first).joined(separator: ", "))")
    }
    metadata.note(
      "The tokenizer is not one of those that llama.cpp's converter knows; its pre-tokenizer has the form of \"\(name)\","
        + " which is written as tokenizer.ggml.pre.")
    return name
  }

  private func nameByShape(_ tokenizer: HuggingFaceTokenizer) -> String? {
    let ignoresMerges = tokenizer.json["model"]?["ignore_merges"]?.boolValue ?? false
    let preTokenizer = tokenizer.json["pre_tokenizer"] ?? .null
    guard let form = PreTokenizerForm.matching(preTokenizer, ignoresMerges: ignoresMerges) else { return nil }
    switch form.names.first {
    case "gpt-2"? where tokenizer.json["post_processor"]?["type"]?.stringValue == "RobertaProcessing":
      return "roberta-bpe"
    case "gpt-2"? where modelType == "gpt_neox": return "olmo"
    case "gpt-2"? where rule == .modernBert: return "modern-bert"
    case "starcoder"? where tokenizer.configuration["clean_up_tokenization_spaces"]?.boolValue == false:
      return "smollm"
    case let name: return name
    }
  }
}

extension PreTokenizerDigests {
  /// The digest of what a tokenizer makes of the stress text, or nil when a part of the tokenizer is not known.
  static func digest(of tokenizer: HuggingFaceTokenizer) -> String? {
    guard let ids = TextEncoder(tokenizer)?.identifiers(of: StressText.text) else { return nil }
    return digest(of: ids)
  }

  /// The digest of some ids.
  static func digest(of ids: [Int]) -> String {
    SHA256.hexadecimalDigest(of: Array("[\(ids.map(String.init).joined(separator: ", "))]".utf8))
  }
}
