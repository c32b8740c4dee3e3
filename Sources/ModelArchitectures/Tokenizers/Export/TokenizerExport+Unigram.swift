import PollardBase

extension TokenizerExport {
  /// Writes a Unigram vocabulary, as tokenizer.json and for T5 as spiece.model.
  mutating func writeUnigram() throws(FormatError) {
    guard let unknown = identifier("unk") ?? kinds.firstIndex(of: .unknown) else {
      throw FormatError(
        .malformedTokenizer, subject: .key("tokenizer.ggml.unknown_token_id"), expected: "a token for what is unknown",
        found: "none")
    }
    let addsPrefix = metadata.flag(TokenizerKey.addSpacePrefix) ?? true
    var normalizers: [JSONValue] = []
    if case .bytes(let bytes)? = metadata[TokenizerKey.characterMap] {
      normalizers.append(["type": "Precompiled", "precompiled_charsmap": JSONValue(Base64.encoded(bytes))])
    }
    // The flags of an XLM-R file may come from settings that mean something else: its words are always split at spaces.
    if !isBERT, metadata.flag(TokenizerKey.removeExtraWhitespaces) ?? false {
      normalizers.append(["type": "Strip", "strip_left": false, "strip_right": true])
      normalizers.append(["type": "Replace", "pattern": ["Regex": " {2,}"], "content": "\u{2581}"])
    }
    let metaspace: JSONValue = [
      "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": addsPrefix || isBERT ? "always" : "never",
      "split": true,
    ]
    let preTokenizer: JSONValue =
      isBERT ? ["type": "Sequence", "pretokenizers": [["type": "WhitespaceSplit"], metaspace]] : metaspace
    let count = (tokens.indices.last { !isPadding($0) } ?? 0) + 1
    let pieces: [JSONValue] = (0..<count).map { [JSONValue(tokens[$0]), JSONValue(Double(scores[$0]))] }
    writeFiles(
      normalizer: normalizers.isEmpty ? .null : ["type": "Sequence", "normalizers": .array(normalizers)],
      preTokenizer: preTokenizer, postProcessor: template(), decoder: metaspace,
      model: ["type": "Unigram", "unk_id": JSONValue(unknown), "vocab": .array(pieces), "byte_fallback": false],
      added: addedTokens())
    if !isBERT {
      files.append(("spiece.model", sentencePieceFile(.unigram, addsPrefix: addsPrefix)))
    }
  }
}
