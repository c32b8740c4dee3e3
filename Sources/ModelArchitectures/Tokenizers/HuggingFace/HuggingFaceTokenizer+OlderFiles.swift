import PollardBase

extension HuggingFaceTokenizer {
  /// What tokenizer.json would be for a folder that has vocab.json with merges.txt, or vocab.txt.
  ///
  /// - Throws: `missingTokenizer` when there is neither, and what reading throws.
  static func assembled(
    _ files: TokenizerFiles, configuration: JSONObject, className: String
  ) throws(FormatError) -> JSONObject {
    if let vocabulary = try files.json("vocab.json"), files.has("merges.txt") {
      return assembledBytePair(
        vocabulary, merges: try mergesOfTextFile(files), configuration: configuration, className: className)
    }
    if let text = try files.text("vocab.txt") { return try assembledWordPiece(text, configuration: configuration) }
    throw FormatError(
      .missingTokenizer, expected: "tokenizer.json, vocab.json with merges.txt, or vocab.txt", found: "no such file",
      remedy: "copy the tokenizer's files into the model's folder")
  }

  private static func assembledBytePair(
    _ vocabulary: JSONValue, merges: [String], configuration: JSONObject, className: String
  ) -> JSONObject {
    let addsPrefix = configuration["add_prefix_space"]?.boolValue ?? false
    let isQwen = className.hasPrefix("Qwen2")
    let byteLevel: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": JSONValue(addsPrefix), "trim_offsets": true,
      "use_regex": JSONValue(!isQwen),
    ]
    let preTokenizer: JSONValue =
      isQwen
      ? [
        "type": "Sequence",
        "pretokenizers": [
          [
            "type": "Split", "pattern": ["Regex": JSONValue(SplitPatterns.qwen2)], "behavior": "Isolated",
            "invert": false,
          ],
          byteLevel,
        ],
      ]
      : byteLevel
    return [
      "normalizer": isQwen ? ["type": "NFC"] : nil,
      "pre_tokenizer": preTokenizer,
      "post_processor": nil,
      "decoder": ["type": "ByteLevel"],
      "model": ["type": "BPE", "vocab": vocabulary, "merges": .array(merges.map { JSONValue.string($0) })],
    ]
  }

  private static func assembledWordPiece(_ text: String, configuration: JSONObject) throws(FormatError) -> JSONObject {
    var vocabulary = JSONObject()
    var lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty ?? false { lines.removeLast() }
    // A text that occurs twice keeps the later id, as in a Python dictionary.
    for (id, line) in lines.enumerated() { vocabulary.set(String(decoding: line, as: UTF8.self), to: JSONValue(id)) }
    return [
      "normalizer": [
        "type": "BertNormalizer", "clean_text": true,
        "handle_chinese_chars": configuration["tokenize_chinese_chars"] ?? true,
        "strip_accents": configuration["strip_accents"] ?? .null,
        "lowercase": configuration["do_lower_case"] ?? true,
      ],
      "pre_tokenizer": ["type": "BertPreTokenizer"],
      "post_processor": [
        "type": "TemplateProcessing",
        "single": [["SpecialToken": ["id": "[CLS]"]], ["Sequence": ["id": "A"]], ["SpecialToken": ["id": "[SEP]"]]],
      ],
      "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
      "model": [
        "type": "WordPiece", "unk_token": configuration["unk_token"] ?? "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": .object(vocabulary),
      ],
    ]
  }

  /// The merges of merges.txt: lines of two texts, after an optional first line that starts with `#`.
  static func mergesOfTextFile(_ files: TokenizerFiles) throws(FormatError) -> [String] {
    guard let text = try files.text("merges.txt") else { return [] }
    var merges: [String] = []
    for (number, line) in text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
      if number == 0, line.first == UInt8(ascii: "#") { continue }
      let parts = Substring(line).unicodeScalars.split(whereSeparator: \.properties.isWhitespace).map { Substring($0) }
      if parts.count == 2 { merges.append("\(parts[0]) \(parts[1])") }
    }
    return merges
  }
}
