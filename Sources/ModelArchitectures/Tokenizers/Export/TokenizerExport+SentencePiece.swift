import PollardBase

extension TokenizerExport {
  /// Writes a SentencePiece BPE, as tokenizer.json and as tokenizer.model.
  mutating func writeSentencePiece() throws(FormatError) {
    let addsPrefix = metadata.flag(TokenizerKey.addSpacePrefix) ?? true
    let pieces = tokens.indices.filter { kinds[$0] == .normal }.map { (text: tokens[$0], id: $0, score: scores[$0]) }
    let merges = derivedMerges(pieces)
    if Set(pieces.map(\.score.bitPattern)).count == 1, pieces.count > 1 {
      notes.append(
        "All tokens have the same score, so merges are ranked by id; some words may be divided otherwise than originally."
      )
    }
    let space = "\u{2581}"
    let replace: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": JSONValue(space)]
    var decoders: [JSONValue] = [
      ["type": "Replace", "pattern": ["String": JSONValue(space)], "content": " "], ["type": "ByteFallback"],
      ["type": "Fuse"],
    ]
    if addsPrefix { decoders.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    let hasBytes = kinds.contains(.byte)
    var settings = JSONObject()
    if let flag = metadata.flag(TokenizerKey.addSpacePrefix) { settings.set("add_prefix_space", to: JSONValue(flag)) }
    writeFiles(
      normalizer: addsPrefix
        ? ["type": "Sequence", "normalizers": [["type": "Prepend", "prepend": JSONValue(space)], replace]] : replace,
      preTokenizer: .null, postProcessor: template(), decoder: ["type": "Sequence", "decoders": .array(decoders)],
      model: [
        "type": "BPE", "dropout": nil, "unk_token": token("unk").map { JSONValue($0) } ?? .null,
        "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": true,
        "byte_fallback": JSONValue(hasBytes), "ignore_merges": false,
        "vocab": .object(vocabulary()),
        "merges": .array(
          merges.map {
            $0.left.utf8.contains(0x20) || $0.right.utf8.contains(0x20)
              ? [JSONValue($0.left), JSONValue($0.right)] : JSONValue($0.left + " " + $0.right)
          }),
      ],
      added: addedTokens(), settings: settings)
    files.append(("tokenizer.model", sentencePieceFile(.bytePair, addsPrefix: addsPrefix)))
  }

  /// The SentencePiece file of the vocabulary, without the padding at its end.
  func sentencePieceFile(_ algorithm: SentencePieceModel.Algorithm, addsPrefix: Bool) -> [UInt8] {
    var file = SentencePieceModel()
    file.algorithm = algorithm
    file.fallsBackToBytes = kinds.contains(.byte)
    file.addsDummyPrefix = addsPrefix
    file.removesExtraWhitespaces = metadata.flag(TokenizerKey.removeExtraWhitespaces) ?? false
    file.normalizerName = "identity"
    if case .bytes(let bytes)? = metadata[TokenizerKey.characterMap] {
      file.characterMap = bytes
      file.normalizerName = "precompiled"
    }
    let count = (tokens.indices.last { !isPadding($0) } ?? 0) + 1
    // The library wants exactly one unknown piece.
    let unknown = kinds.firstIndex(of: .unknown) ?? identifier("unk") ?? 0
    for id in 0..<count {
      let kind: TokenKind = id == unknown ? .unknown : kinds[id] == .unknown ? .control : kinds[id]
      let text = kind == .userDefined ? replacing(" ", with: "\u{2581}", in: tokens[id]) : tokens[id]
      file.pieces.append(.init(text: text.isEmpty ? "[EMPTY\(id)]" : text, score: scores[id], kind: kind))
    }
    return file.encoded(
      .init(unknown: unknown, beginning: identifier("bos"), end: identifier("eos"), padding: identifier("pad")))
  }
}
