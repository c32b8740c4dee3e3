import PollardBase

extension TokenizerExport {
  /// Writes a byte-level BPE.
  mutating func writeBytePair() throws(FormatError) {
    let pre = metadata.string(TokenizerKey.pre)
    if pre == nil {
      notes.append("The file does not say how its tokenizer splits text; llama.cpp's default rule is written.")
    }
    if ["gemma4", "granite-embed-multi-311m", "sarvam-moe"].contains(pre) { return try writeWholeTextBytePair() }
    guard let form = PreTokenizerForm.named(pre ?? "default") else {
      throw FormatError(
        .unknownPreTokenizer, subject: .key(TokenizerKey.pre), expected: "a name whose rule tokenizer.json can hold",
        found: pre ?? "none", remedy: "take the tokenizer's files from the model's Hugging Face folder")
    }
    let merges = try readMerges()
    var normalizers: [JSONValue] = form.normalizer.map { [["type": JSONValue($0)]] } ?? []
    if metadata.flag(TokenizerKey.lowercase) ?? false { normalizers.append(["type": "Lowercase"]) }
    writeFiles(
      normalizer: normalizers.count > 1
        ? ["type": "Sequence", "normalizers": .array(normalizers)] : normalizers.first ?? .null,
      preTokenizer: form.preTokenizer, postProcessor: bytePairPostProcessor(),
      decoder: ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      model: [
        "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": JSONValue(form.ignoresMerges),
        "vocab": .object(vocabulary()), "merges": merges,
      ],
      added: addedTokens(), settings: ["add_prefix_space": false])
  }

  /// RoBERTa's, a template with begin and end tokens, or the byte-level one; null when nothing is said.
  private func bytePairPostProcessor() -> JSONValue {
    let byteLevel: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    ]
    let flags = ["bos", "eos"].compactMap { metadata.flag("tokenizer.ggml.add_\($0)_token") }
    let template = template()
    if template.isNull { return flags.contains(false) ? byteLevel : .null }
    if metadata.string(TokenizerKey.pre) == "roberta-bpe", flags == [true, true], let first = identifier("bos"),
      let last = identifier("eos")
    {
      return [
        "type": "RobertaProcessing", "sep": [JSONValue(tokens[last]), JSONValue(last)],
        "cls": [JSONValue(tokens[first]), JSONValue(first)], "trim_offsets": true, "add_prefix_space": false,
      ]
    }
    return flags.contains(false) ? ["type": "Sequence", "processors": [byteLevel, template]] : template
  }

  /// Writes a BPE over whole texts of characters, with spaces as U+2581 and bytes for what is unknown.
  mutating func writeWholeTextBytePair() throws(FormatError) {
    let merges = try readMerges()
    writeFiles(
      normalizer: ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"],
      preTokenizer: [
        "type": "Split", "pattern": ["String": " "], "behavior": "MergedWithPrevious", "invert": false,
      ],
      postProcessor: template(),
      decoder: [
        "type": "Sequence",
        "decoders": [
          ["type": "Replace", "pattern": ["String": "\u{2581}"], "content": " "], ["type": "ByteFallback"],
          ["type": "Fuse"],
        ],
      ],
      model: [
        "type": "BPE", "dropout": nil, "unk_token": token("unk").map { JSONValue($0) } ?? .null,
        "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": true, "byte_fallback": true,
        "ignore_merges": false, "vocab": .object(vocabulary()), "merges": merges,
      ],
      added: addedTokens())
  }

  /// The merges as tokenizer.json has them; those of texts that are no tokens are left out with a note.
  private mutating func readMerges() throws(FormatError) -> JSONValue {
    guard let list = metadata.strings(TokenizerKey.merges), !list.isEmpty else {
      throw FormatError(
        .malformedTokenizer, subject: .key(TokenizerKey.merges), expected: "at least one merge", found: "none")
    }
    let known = Set(tokens.map(ExactString.init))
    var pairs: [(String, String)] = []
    var isPlain = true
    var droppedCount = 0
    for merge in list {
      guard let (left, right) = BytePairEncoder.parts(of: .string(merge)) else {
        droppedCount += 1
        continue
      }
      // A space inside a text is written as U+0120, which a byte-level vocabulary has as such.
      let candidates = [(left, right), (unescaped(left), unescaped(right))]
      let found = candidates.first { pair in
        [pair.0, pair.1, pair.0 + pair.1].allSatisfy { known.contains(ExactString($0)) }
      }
      guard let found else {
        droppedCount += 1
        continue
      }
      if found.0.utf8.contains(0x20) || found.1.utf8.contains(0x20) { isPlain = false }
      pairs.append(found)
    }
    if droppedCount > 0 {
      notes.append("\(droppedCount) of \(list.count) merges join texts that are no tokens, and are left out.")
    }
    return .array(
      pairs.map { isPlain ? JSONValue($0.0 + " " + $0.1) : [JSONValue($0.0), JSONValue($0.1)] })
  }

  private func unescaped(_ text: String) -> String { replacing("\u{120}", with: " ", in: text) }
}
