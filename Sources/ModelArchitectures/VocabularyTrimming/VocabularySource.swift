import PollardBase

/// What a folder's files tell of its tokens: which text has which id, which must stay, and which are made from which.
struct VocabularySource {
  /// The tokenizer of tokenizer.json, vocab.json or vocab.txt; nil where there is only a SentencePiece file, or nothing.
  let tokenizer: HuggingFaceTokenizer?
  /// The SentencePiece file, if there is one that can be read.
  let pieces: (file: String, model: SentencePieceModel)?
  /// The text of every id that has one.
  let texts: [Int: String]
  /// The id of every text.
  private(set) var identifiers: [ExactString: Int] = [:]
  private let files: TokenizerFiles
  private let addedIdentifiers: Set<Int>

  /// The names of SentencePiece files.
  static let pieceFiles = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"]

  /// - Throws: what reading the files throws.
  init(_ files: TokenizerFiles, config: JSONValue) throws(FormatError) {
    self.files = files
    let modelType = config["model_type"]?.stringValue ?? ""
    let content = try files.object("tokenizer.json")
    if content != nil || files.has("vocab.txt") || files.has("vocab.json") && files.has("merges.txt") {
      tokenizer = try HuggingFaceTokenizer(
        files: files, content: content, modelType: modelType, className: config["tokenizer_class"]?.stringValue)
    } else {
      tokenizer = nil
    }
    var found: (file: String, model: SentencePieceModel)?
    if let name = Self.pieceFiles.first(where: files.has), let bytes = files.bytes[name] {
      do throws(FormatError) {
        found = (name, try SentencePieceModel(parsing: bytes, file: name))
      } catch {
        // Files of other libraries go by the same name; beside tokenizer.json they are not needed.
        if tokenizer == nil { throw error }
      }
    }
    pieces = found
    if let tokenizer {
      texts = tokenizer.tokensByIdentifier()
      addedIdentifiers = Set(tokenizer.addedTokens.keys)
    } else if let found {
      (texts, addedIdentifiers) = try Self.tokens(of: found.model, files, modelType)
    } else {
      (texts, addedIdentifiers) = ([:], [])
    }
    identifiers.reserveCapacity(texts.count)
    for (id, text) in texts {
      identifiers[ExactString(text)] = max(id, identifiers[ExactString(text)] ?? id)
    }
  }

  /// Whether any text is known.
  var isEmpty: Bool { texts.isEmpty }

  /// The tokens of a SentencePiece file alone, and the ids of those that other files add.
  private static func tokens(
    of model: SentencePieceModel, _ files: TokenizerFiles, _ modelType: String
  ) throws(FormatError) -> ([Int: String], Set<Int>) {
    var texts: [Int: String] = [:]
    var added: Set<Int> = []
    let isShifted = files.has("sentencepiece.bpe.model") && modelType.contains("roberta")
    for (position, piece) in model.pieces.enumerated() {
      texts[isShifted ? position + 1 : position] = piece.text
    }
    if isShifted {
      // The classes of XLM-RoBERTa have the four special tokens of fairseq in front, in another order than the file.
      for (id, text) in ["<s>", "<pad>", "</s>", "<unk>"].enumerated() { texts[id] = text }
      texts[model.pieces.count + 1] = "<mask>"
      added = [0, 1, 2, 3, model.pieces.count + 1]
    }
    let configuration = try files.object("tokenizer_config.json") ?? JSONObject()
    if modelType.hasSuffix("t5") {
      // The last of these has the first id behind the pieces.
      let count = min(max(configuration["extra_ids"]?.intValue ?? 100, 0), 1 << 16)
      for number in 0..<count {
        let id = model.pieces.count + count - 1 - number
        texts[id] = "<extra_id_\(number)>"
        added.insert(id)
      }
    }
    for member in try files.object("added_tokens.json") ?? JSONObject() {
      guard let id = member.value.intValue, (0..<Vocabulary.limit).contains(id) else { continue }
      texts[id] = member.key
      added.insert(id)
    }
    for member in configuration["added_tokens_decoder"]?.objectValue ?? JSONObject() {
      guard let id = Int(member.key), (0..<Vocabulary.limit).contains(id), let token = AddedToken(member.value) else {
        throw FormatError(
          .malformedTokenizer, file: "tokenizer_config.json", subject: .key("added_tokens_decoder"),
          expected: "ids with tokens", found: "\"\(member.key)\"")
      }
      texts[id] = token.content
      added.insert(id)
    }
    return (texts, added)
  }

  // MARK: What must stay

  /// The tokens that stay whatever is asked for, the first reason of each.
  func requirements() -> [(id: Int, reason: TokenReason)] {
    var result: [(id: Int, reason: TokenReason)] = addedIdentifiers.map { ($0, .special) }
    if let tokenizer {
      let model = tokenizer.json["model"] ?? .null
      if let unknown = model["unk_token"]?.stringValue.flatMap(tokenizer.identifier(of:)) {
        result.append((unknown, .special))
      }
      if let unknown = model["unk_id"]?.intValue { result.append((unknown, .special)) }
      for processor in ["post_processor", "padding"] {
        result += PostProcessorIdentifiers.all(in: tokenizer.json[processor] ?? .null).map { ($0, .special) }
      }
      if model["byte_fallback"]?.boolValue ?? false {
        result += (UInt8.min...UInt8.max).compactMap { identifier(bytePiece($0)) }.map { ($0, .bytes) }
      }
      if tokenizer.algorithm == .bytePair, isByteLevel(tokenizer.json) {
        result += ByteAlphabet.scalars.compactMap { identifier(String($0)) }.map { ($0, .bytes) }
      }
      if tokenizer.algorithm == .unigram {
        let scores = tokenizer.unigramScores
        if let low = scores.indices.min(by: { scores[$0] < scores[$1] }) { result.append((low, .scores)) }
      }
    }
    for text in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].compactMap({ tokenizer?.specialToken($0) })
      + (tokenizer?.additionalSpecialTokens ?? [])
    {
      if let id = identifier(text) { result.append((id, .special)) }
    }
    if let pieces { result += requirements(of: pieces.model) }
    return result
  }

  private func requirements(of model: SentencePieceModel) -> [(id: Int, reason: TokenReason)] {
    var result: [(id: Int, reason: TokenReason)] = []
    for piece in model.pieces where piece.kind != .normal && piece.kind != .unused {
      if let id = identifier(piece.text) { result.append((id, piece.kind == .byte ? .bytes : .special)) }
    }
    if model.algorithm == .unigram {
      let normal = model.pieces.filter { $0.kind == .normal }
      for piece in [normal.min { $0.score < $1.score }, normal.max { $0.score < $1.score }].compactMap(\.self) {
        if let id = identifier(piece.text) { result.append((id, .scores)) }
      }
    }
    return result
  }

  /// Whether a text's bytes are written in GPT-2's alphabet before anything is merged.
  private func isByteLevel(_ json: JSONObject) -> Bool {
    func mentions(_ value: JSONValue) -> Bool {
      if value["type"]?.stringValue == "ByteLevel" { return true }
      return ["pretokenizers", "decoders", "normalizers"].contains { key in
        value[key]?.arrayValue?.contains(where: mentions) ?? false
      }
    }
    return ["pre_tokenizer", "decoder", "normalizer"].contains { mentions(json[$0] ?? .null) }
  }

  /// The id of a token's text.
  func identifier(_ text: String) -> Int? { identifiers[ExactString(text)] }

  /// Whether a token is found in a text before anything is merged.
  func isAdded(_ id: Int) -> Bool { addedIdentifiers.contains(id) }

  /// The merges of the tokenizer; nil for one that does not merge.
  ///
  /// - Throws: as `BytePairDerivation.init`.
  func merges() throws(FormatError) -> BytePairDerivation? {
    guard let tokenizer, tokenizer.algorithm == .bytePair else { return nil }
    return try BytePairDerivation(tokenizer.json["model"] ?? .null, vocabulary: tokenizer.baseVocabulary)
  }

  /// The ids that kept tokens are merged from, those that are kept already among them.
  ///
  /// - Throws: as `BytePairDerivation.init`.
  func mergedFrom(_ kept: some Sequence<Int>) throws(FormatError) -> [Int] {
    var result: [Int] = []
    if let derivation = try merges() {
      for id in kept where !addedIdentifiers.contains(id) {
        if let text = texts[id] { result += derivation.parts(of: text) }
      }
    }
    if let pieces, pieces.model.algorithm == .bytePair {
      let derivation = PieceDerivation(pieces.model)
      for id in kept where !addedIdentifiers.contains(id) {
        if let text = texts[id] { result += derivation.parts(of: text).compactMap(identifier) }
      }
    }
    return result
  }
}

/// Where the post-processor and the padding of tokenizer.json name ids.
enum PostProcessorIdentifiers {
  /// The ids of a step, those of a sequence's steps too.
  static func all(in value: JSONValue) -> [Int] {
    var result: [Int] = []
    _ = mapped(value) { id in
      result.append(id)
      return id
    }
    return result
  }

  /// The step with every id replaced.
  static func mapped(_ value: JSONValue, _ transform: (Int) -> Int) -> JSONValue {
    guard var object = value.objectValue else { return value }
    func new(_ value: JSONValue) -> JSONValue {
      guard let id = value.intValue else { return value }
      let new = transform(id)
      return new == id ? value : JSONValue(new)
    }
    for role in ["sep", "cls"] {
      guard var pair = object[role]?.arrayValue, pair.count == 2 else { continue }
      pair[1] = new(pair[1])
      object.set(role, to: .array(pair))
    }
    if let id = object["pad_id"] { object.set("pad_id", to: new(id)) }
    if var tokens = object["special_tokens"]?.objectValue {
      for member in tokens.members {
        guard let ids = member.value["ids"]?.arrayValue else { continue }
        tokens.set(member.key, to: member.value.settingKey("ids", to: .array(ids.map(new))))
      }
      object.set("special_tokens", to: .object(tokens))
    }
    if let steps = object["processors"]?.arrayValue {
      object.set("processors", to: .array(steps.map { mapped($0, transform) }))
    }
    return .object(object)
  }
}
