import PollardBase

/// The tokenizer's files rewritten for the tokens that stay.
///
/// Everything but vocabulary, merges and ids is kept as it is, members in their order and numbers in their spelling.
struct TokenizerTrimming {
  /// All files, the rewritten ones in place of the input's.
  private(set) var files: TokenizerFiles
  /// The names of those that changed.
  private(set) var changed: [String] = []
  /// The names of those that describe the whole vocabulary in a form that is not rewritten.
  private(set) var omitted: [String] = []
  /// Things worth telling.
  private(set) var notes: [String] = []

  private let source: VocabularySource
  private let kept: KeptTokens
  /// The texts of kept tokens.
  private let keptTexts: Set<ExactString>

  /// - Throws: `malformedTokenizer`, `vocabularyMismatch` where the rewritten files would not give every kept token its new id.
  init(
    _ files: TokenizerFiles, _ source: VocabularySource, _ kept: KeptTokens, config: JSONValue
  ) throws(FormatError) {
    self.files = files
    self.source = source
    self.kept = kept
    keptTexts = Set(kept.identifiers.compactMap { source.texts[$0].map(ExactString.init) })
    try rewriteTokenizerFile()
    for name in ["vocab.json", "added_tokens.json"] {
      if let object = try self.files.object(name) { put(name, .object(renumbered(object))) }
    }
    try rewriteTextVocabulary()
    try rewriteTextMerges()
    try rewriteTokenizerConfiguration()
    try rewritePieces()
    if files.has("tekken.json") { omit("tekken.json") }
    if !source.isEmpty { try check(config) }
  }

  // MARK: Ids

  /// The new id; those beyond the model's rows stay beyond them.
  private func new(_ id: Int) -> Int? {
    kept.newIdentifier(of: id) ?? (id >= kept.before ? id - kept.before + kept.count : nil)
  }

  private func renumbered(_ object: JSONObject) -> JSONObject {
    JSONObject(
      object.members.compactMap { member in
        guard let id = member.value.intValue else { return (key: member.key, value: member.value) }
        return new(id).map { (key: member.key, value: $0 == id ? member.value : JSONValue($0)) }
      })
  }

  private func isKept(left: String, right: String) -> Bool {
    [left, right, left + right].allSatisfy { keptTexts.contains(ExactString($0)) }
  }

  // MARK: Files

  private mutating func put(_ name: String, _ bytes: [UInt8]) {
    if files.bytes[name] == bytes { return }
    files.bytes[name] = bytes
    changed.append(name)
  }

  private mutating func omit(_ name: String) {
    files.bytes[name] = nil
    omitted.append(name)
    notes.append("\(name) lists the whole vocabulary in a form that is not rewritten, and was left out")
  }

  private mutating func put(_ name: String, _ value: JSONValue) {
    guard let old = files.bytes[name] else { return }
    put(name, value.bytes(like: old))
  }

  private mutating func rewriteTokenizerFile() throws(FormatError) {
    guard var object = try files.object("tokenizer.json"), var model = object["model"]?.objectValue else { return }
    if let pieces = model["vocab"]?.arrayValue {
      model.set("vocab", to: .array(kept.identifiers.prefix { $0 < pieces.count }.map { pieces[$0] }))
    } else if let vocabulary = model["vocab"]?.objectValue {
      model.set("vocab", to: .object(renumbered(vocabulary)))
    }
    if let merges = model["merges"]?.arrayValue {
      model.set(
        "merges",
        to: .array(
          merges.filter { merge in BytePairEncoder.parts(of: merge).map { isKept(left: $0.0, right: $0.1) } ?? true }))
    }
    if let unknown = model["unk_id"]?.intValue, let id = new(unknown), id != unknown {
      model.set("unk_id", to: JSONValue(id))
    }
    object.set("model", to: .object(model))
    if let added = object["added_tokens"]?.arrayValue {
      object.set(
        "added_tokens",
        to: .array(
          added.map { token in
            let stated = token["id"]?.intValue
            guard let old = token["content"]?.stringValue.flatMap(source.identifier) ?? stated, let id = new(old),
              id != stated, token.objectValue != nil
            else { return token }
            return token.settingKey("id", to: JSONValue(id))
          }))
    }
    for key in ["post_processor", "padding"] {
      if let step = object[key] { object.set(key, to: PostProcessorIdentifiers.mapped(step) { new($0) ?? $0 }) }
    }
    put("tokenizer.json", .object(object))
  }

  /// vocab.txt: the id of a line is its number.
  private mutating func rewriteTextVocabulary() throws(FormatError) {
    guard let bytes = files.bytes["vocab.txt"] else { return }
    var output: [UInt8] = []
    var line = 0
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
      if new(line) != nil { output += bytes[start..<end] }
      line += 1
      start = end
    }
    put("vocab.txt", output)
  }

  private mutating func rewriteTextMerges() throws(FormatError) {
    guard let bytes = files.bytes["merges.txt"] else { return }
    var output: [UInt8] = []
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
      let text = String(decoding: bytes[start..<end], as: UTF8.self)
      let parts = text.unicodeScalars.split(whereSeparator: \.properties.isWhitespace).map { String(Substring($0)) }
      let isHeader = start == 0 && bytes[start] == UInt8(ascii: "#")
      if isHeader || parts.count != 2 || isKept(left: parts[0], right: parts[1]) { output += bytes[start..<end] }
      start = end
    }
    put("merges.txt", output)
  }

  private mutating func rewriteTokenizerConfiguration() throws(FormatError) {
    guard var object = try files.object("tokenizer_config.json") else { return }
    if let decoder = object["added_tokens_decoder"]?.objectValue {
      object.set(
        "added_tokens_decoder",
        to: .object(
          JSONObject(
            decoder.members.compactMap { member in
              guard let id = Int(member.key) else { return (key: member.key, value: member.value) }
              return new(id).map { (key: String($0), value: member.value) }
            })))
    }
    put("tokenizer_config.json", TokenIdentifiers.mapped(.object(object)) { new($0) ?? $0 })
  }

  private mutating func rewritePieces() throws(FormatError) {
    for name in VocabularySource.pieceFiles {
      guard let bytes = files.bytes[name] else { continue }
      guard let pieces = source.pieces, pieces.file == name else {
        omit(name)
        continue
      }
      let stays = pieces.model.pieces.map { piece in
        piece.kind != .normal && piece.kind != .unused
          || source.identifier(piece.text).map { new($0) != nil } ?? true
      }
      do throws(FormatError) {
        put(name, try SentencePieceTrimming.trimmed(bytes, keeping: stays))
      } catch {
        throw error.inFile(name)
      }
    }
  }

  /// Reads the rewritten files as a tokenizer would and holds every id to what it must be.
  private func check(_ config: JSONValue) throws(FormatError) {
    let result = try VocabularySource(files, config: config)
    for id in kept.identifiers {
      guard let text = source.texts[id], source.identifier(text) == id else { continue }
      guard let new = kept.newIdentifier(of: id), result.identifier(text) == new else {
        throw FormatError(
          .vocabularyMismatch, file: source.tokenizer?.isFromTokenizerFile ?? false ? "tokenizer.json" : nil,
          subject: .option("token \(id)"),
          expected: "the id \(kept.newIdentifier(of: id) ?? -1) for \"\(text)\" in the smaller vocabulary",
          found: result.identifier(text).map { "\($0)" } ?? "no such token",
          remedy: "the tokenizer numbers its tokens in a way that does not survive removals; keep the whole vocabulary")
      }
    }
    guard let old = try source.merges(), let new = try result.merges() else { return }
    for id in kept.identifiers where !source.isAdded(id) {
      guard let text = source.texts[id] else { continue }
      let parts = old.parts(of: text)
      guard parts.isEmpty || parts.map(kept.newIdentifier) == new.parts(of: text) else {
        throw FormatError(
          .vocabularyMismatch, subject: .option("token \(id)"),
          expected: "all tokens that \"\(text)\" is merged from to stay", found: "fewer",
          remedy: "keep those tokens too, or leave the choice of them to --keep-tokens and --drop-unused")
      }
    }
  }
}

extension JSONValue {
  /// The text of the value in the layout of another text: on one line or on several, with or without a line end, escapes as there. A text of
  /// the same value is given back as it is.
  func bytes(like text: [UInt8]) -> [UInt8] {
    if let old = try? JSONValue(parsing: text, allowingNonFinite: true), old == self { return text }
    let endsLine = text.last == 0x0A
    let isPretty = text.dropLast().contains(0x0A)
    return serializedBytes(isPretty ? .pretty : .compact, strings: .matching(text)) + (endsLine ? [0x0A] : [])
  }
}
