import PollardBase

/// A tokenizer's files as transformers reads them.
public struct ExportedTokenizer: Sendable {
  /// The files in the order in which they are best written.
  public var files: [(name: String, bytes: [UInt8])]
  /// What a person should know about the conversion: full sentences, empty when there is nothing.
  public var notes: [String]
}

extension TokenizerMetadata {
  /// The Hugging Face files of a tokenizer that is described by GGUF metadata.
  ///
  /// tokenizer.json gives the same ids for the same text; tokenizer_config.json and special_tokens_map.json name the special
  /// tokens and hold the chat templates. A SentencePiece vocabulary is written as tokenizer.model (spiece.model for T5) as well,
  /// a WordPiece vocabulary as vocab.txt.
  ///
  /// - Parameter architecture: GGUF's `general.architecture`.
  /// - Throws: `missingTokenizer` without a vocabulary; `unsupportedTokenizer` for a model that tokenizer.json has no place for;
  ///   `unknownPreTokenizer`; `malformedTokenizer` for arrays of different lengths and ids outside the vocabulary.
  public func huggingFaceFiles(architecture: String) throws(FormatError) -> ExportedTokenizer {
    var export = try TokenizerExport(self, architecture: architecture)
    switch export.model {
    case "llama": try export.writeSentencePiece()
    case "gpt2": try export.writeBytePair()
    case "gemma4": try export.writeWholeTextBytePair()
    case "bert": export.writeWordPiece()
    case "t5": try export.writeUnigram()
    default:
      throw FormatError(
        .unsupportedTokenizer, subject: .key(TokenizerKey.model), expected: "llama, gpt2, gemma4, bert or t5",
        found: export.model, remedy: "take the tokenizer's files from the model's Hugging Face folder")
    }
    return ExportedTokenizer(files: export.files, notes: export.notes)
  }
}

/// One conversion of GGUF metadata to Hugging Face tokenizer files.
struct TokenizerExport {
  let metadata: TokenizerMetadata
  let architecture: String
  let model: String
  let tokens: [String]
  let kinds: [TokenKind]
  let scores: [Float]
  var files: [(name: String, bytes: [UInt8])] = []
  var notes: [String] = []
  /// The ids of special tokens by role.
  private(set) var roles: [(role: String, id: Int)] = []

  init(_ metadata: TokenizerMetadata, architecture: String) throws(FormatError) {
    self.metadata = metadata
    self.architecture = architecture
    let name = metadata.string(TokenizerKey.model)
    guard let name, name != "none", name != "no_vocab", let tokens = metadata.strings(TokenizerKey.tokens),
      !tokens.isEmpty
    else {
      throw FormatError(
        .missingTokenizer, subject: .key(TokenizerKey.tokens), expected: "a vocabulary", found: "none",
        remedy: "take the tokenizer's files from the model's Hugging Face folder")
    }
    model = name
    var kinds = [TokenKind](repeating: .normal, count: tokens.count)
    if case .int32s(let numbers)? = metadata[TokenizerKey.tokenTypes] {
      try Self.check(TokenizerKey.tokenTypes, numbers.count, tokens.count)
      kinds = numbers.prefix(tokens.count).map { TokenKind(rawValue: $0) ?? .normal }
    }
    self.kinds = kinds
    self.tokens =
      name == "bert" ? tokens.indices.map { Self.wordPieceText(tokens[$0], kind: kinds[$0]) } : tokens
    var scores = [Float](repeating: 0, count: tokens.count)
    if case .floats(let numbers)? = metadata[TokenizerKey.scores] {
      try Self.check(TokenizerKey.scores, numbers.count, tokens.count)
      scores = Array(numbers.prefix(tokens.count))
    }
    self.scores = scores
    try readRoles()
  }

  private static func check(_ key: String, _ count: Int, _ expected: Int) throws(FormatError) {
    guard count >= expected else {
      throw FormatError(
        .malformedTokenizer, subject: .key(key), expected: "\(expected) elements, one for each token", found: "\(count)"
      )
    }
  }

  private mutating func readRoles() throws(FormatError) {
    for role in ["bos", "eos", "unk", "sep", "pad", "mask"] {
      guard let key = TokenizerKey.identifier(of: role) else { continue }
      var id = metadata.identifier(key)
      if role == "bos", model == "bert" { id = metadata.identifier("tokenizer.ggml.cls_token_id") ?? id }
      if let id, id >= tokens.count {
        throw FormatError(
          .malformedTokenizer, subject: .key(key), expected: "an id below \(tokens.count)", found: "\(id)")
      }
      if let id = id ?? assumedIdentifier(of: role) { roles.append((role, id)) }
    }
  }

  /// The id of a role that the file does not name: by what tokens are, else the one that llama.cpp assumes.
  private func assumedIdentifier(of role: String) -> Int? {
    if role == "unk", let id = kinds.firstIndex(of: .unknown) { return id }
    let assumed: [String: (id: Int, text: String?)] =
      switch model {
      case "llama": ["bos": (1, nil), "eos": (2, nil), "unk": (0, nil)]
      case "bert":
        [
          "bos": (101, "[CLS]"), "sep": (102, "[SEP]"), "unk": (100, "[UNK]"), "pad": (0, "[PAD]"),
          "mask": (103, "[MASK]"),
        ]
      case "t5": ["eos": (1, nil), "unk": (2, nil), "pad": (0, nil)]
      default: [:]
      }
    guard let (id, text) = assumed[role] else { return nil }
    if let text, let found = tokens.indices.first(where: { kinds[$0] == .control && haveSameBytes(tokens[$0], text) }) {
      return found
    }
    return id < tokens.count && [.control, .unknown].contains(kinds[id]) ? id : nil
  }

  /// The id of a role's token.
  func identifier(_ role: String) -> Int? { roles.first { $0.role == role }?.id }

  /// The text of a role's token.
  func token(_ role: String) -> String? { identifier(role).map { tokens[$0] } }

  /// Whether an id is one of those that fill the embeddings: `[PAD…]` with a number, of the kind unused.
  func isPadding(_ id: Int) -> Bool {
    let text = tokens[id].utf8
    return kinds[id] == .unused && text.count > 5 && text.starts(with: "[PAD".utf8) && text.last == UInt8(ascii: "]")
      && text.dropFirst(4).dropLast().allSatisfy { (0x30...0x39).contains($0) }
  }

  /// Whether the model is an encoder of the BERT family.
  var isBERT: Bool { architecture.split(separator: "-").contains("bert") }

  /// Whether texts begin with the begin token.
  var addsBeginning: Bool {
    if let flag = metadata.flag("tokenizer.ggml.add_bos_token") { return flag }
    switch model {
    case "llama", "bert": return true
    case "gpt2": return Self.beginningNames.contains(metadata.string(TokenizerKey.pre) ?? "")
    default: return isBERT
    }
  }

  /// The pre-tokenizers whose texts begin with the begin token unless a flag says otherwise.
  private static let beginningNames: Set<String> = [
    "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken",
    "chameleon",
  ]

  /// Whether decoding takes away the space before signs such as a full stop.
  private var cleansSpaces: Bool {
    model == "gpt2" && Self.cleaningNames.contains(metadata.string(TokenizerKey.pre) ?? "default") || model == "bert"
  }

  /// The pre-tokenizers whose models are decoded so.
  private static let cleaningNames: Set<String> = [
    "default", "minicpm5", "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
    "jina-v5-nano", "falcon", "mpt", "starcoder", "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es",
    "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jais-2", "jina-v1-en", "jina-v2-code", "roberta-bpe", "refact",
    "stablelm2", "olmo", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4", "glm5", "jais", "codeshell", "bloom",
    "gpt3-finnish", "exaone", "exaone4", "exaone-moe", "minerva-7b", "megrez", "mellum2",
  ]

  /// Whether texts end with the end token.
  var addsEnd: Bool { metadata.flag("tokenizer.ggml.add_eos_token") ?? (model == "t5") }
}

// MARK: - What all kinds share

extension TokenizerExport {
  /// The entries of `added_tokens`: control, unknown and user-defined tokens, and those that have a role.
  func addedTokens() -> [(id: Int, token: AddedToken)] {
    let special = Set(roles.map(\.id))
    return tokens.indices.compactMap { id in
      switch kinds[id] {
      case .control, .unknown: return (id, added(tokens[id], isSpecial: true))
      case .userDefined: return (id, added(tokens[id], isSpecial: special.contains(id)))
      default: return special.contains(id) ? (id, added(tokens[id], isSpecial: true)) : nil
      }
    }
  }

  private func added(_ text: String, isSpecial: Bool) -> AddedToken {
    var token = AddedToken(text, isSpecial: isSpecial)
    // Some byte-level vocabularies have added tokens that look like bytes: those are found in normalised text.
    token.isNormalized =
      model == "gpt2" && !isSpecial && ByteAlphabet.decoded(text).map { !haveSameBytes($0, text) } ?? false
    return token
  }

  static func json(_ token: AddedToken) -> JSONObject {
    [
      "content": JSONValue(token.content), "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": JSONValue(token.isNormalized), "special": JSONValue(token.isSpecial),
    ]
  }

  /// The post-processor that puts begin and end tokens around a text; null when there are none.
  func template() -> JSONValue {
    var around: [JSONObject] = []
    var specials = JSONObject()
    func part(_ role: String, type: Int) -> JSONValue? {
      token(role).map { ["SpecialToken": ["id": JSONValue($0), "type_id": JSONValue(type)]] }
    }
    for role in ["bos", "eos", "sep"] {
      guard let id = identifier(role) else { continue }
      let text = tokens[id]
      around.append(["id": JSONValue(text), "ids": [JSONValue(id)], "tokens": [JSONValue(text)]])
    }
    let separates = metadata.flag("tokenizer.ggml.add_sep_token") ?? (model == "bert")
    let beginning = addsBeginning ? part("bos", type: 0) : nil
    let isPaired = model == "bert" || isBERT
    let endRole = model == "bert" ? (identifier("sep") != nil ? "sep" : "eos") : "eos"
    let end = addsEnd || model == "bert" ? part(endRole, type: 0) : nil
    let first: JSONValue = ["Sequence": ["id": "A", "type_id": 0]]
    let second: JSONValue = ["Sequence": ["id": "B", "type_id": 1]]
    let single = [beginning, first, end].compactMap { $0 }
    guard single.count > 1 else { return .null }
    var pair = single
    if isPaired {
      if model != "bert", separates, let again = part("sep", type: 0) { pair.append(again) }
      pair += [second, addsEnd || model == "bert" ? part(endRole, type: 1) : nil].compactMap { $0 }
    } else {
      pair += [
        addsBeginning ? part("bos", type: 1) : nil, second, addsEnd ? part(endRole, type: 1) : nil,
      ].compactMap { $0 }
    }
    for entry in around {
      guard let id = entry["id"]?.stringValue else { continue }
      let isUsed = pair.contains { $0["SpecialToken"]?["id"]?.stringValue.map { haveSameBytes($0, id) } ?? false }
      if isUsed { specials.set(id, to: .object(entry)) }
    }
    return [
      "type": "TemplateProcessing", "single": .array(single), "pair": .array(pair), "special_tokens": .object(specials),
    ]
  }

  /// Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json.
  mutating func writeFiles(
    normalizer: JSONValue, preTokenizer: JSONValue, postProcessor: JSONValue, decoder: JSONValue, model: JSONValue,
    added: [(id: Int, token: AddedToken)], settings: JSONObject = JSONObject()
  ) {
    let list: [JSONValue] = added.map { entry in
      var object: JSONObject = ["id": JSONValue(entry.id)]
      for member in Self.json(entry.token) { object.set(member.key, to: member.value) }
      return .object(object)
    }
    let content: JSONValue = [
      "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(list), "normalizer": normalizer,
      "pre_tokenizer": preTokenizer, "post_processor": postProcessor, "decoder": decoder, "model": model,
    ]
    append("tokenizer.json", content)
    append("tokenizer_config.json", .object(configuration(added: added, settings: settings)))
    append("special_tokens_map.json", .object(specialTokens()))
  }

  mutating func append(_ name: String, _ content: JSONValue) {
    files.append((name, content.serializedBytes(.pretty, strings: .unicode) + [0x0A]))
  }

  /// The special tokens by their names in Hugging Face files.
  private func specialTokens() -> JSONObject {
    var result = JSONObject()
    for (role, id) in roles {
      let name = model == "bert" && role == "bos" ? "cls" : role
      if model == "bert", role == "eos" { continue }
      result.set("\(name)_token", to: JSONValue(tokens[id]))
    }
    if isBERT, model != "bert", let token = token("bos") {
      result.set("cls_token", to: JSONValue(token))
    }
    return result
  }

  private func configuration(added: [(id: Int, token: AddedToken)], settings: JSONObject) -> JSONObject {
    var result: JSONObject = [
      "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": JSONValue(cleansSpaces),
    ]
    for role in ["bos", "eos"] {
      if let flag = metadata.flag("tokenizer.ggml.add_\(role)_token") {
        result.set("add_\(role)_token", to: JSONValue(flag))
      }
    }
    // A SentencePiece file cannot say which of its pieces were added later: those have the score that the converter gives them.
    let listed = added.filter { model != "llama" || scores[$0.id] == -1000 }
    result.set(
      "added_tokens_decoder", to: .object(JSONObject(listed.map { ("\($0.id)", .object(Self.json($0.token))) })))
    for member in specialTokens() { result.set(member.key, to: member.value) }
    for member in settings { result.set(member.key, to: member.value) }
    if isBERT {
      result.set("model_input_names", to: ["input_ids", "token_type_ids", "attention_mask"])
    }
    if let templates = chatTemplates() { result.set("chat_template", to: templates) }
    return result
  }

  private func chatTemplates() -> JSONValue? {
    let main = metadata.string(TokenizerKey.chatTemplate)
    var named: [JSONValue] = []
    for name in metadata.strings(TokenizerKey.chatTemplates) ?? [] {
      if let text = metadata.string("\(TokenizerKey.chatTemplate).\(name)") {
        named.append(["name": JSONValue(name), "template": JSONValue(text)])
      }
    }
    guard !named.isEmpty else { return main.map { JSONValue($0) } }
    if let main { named.insert(["name": "default", "template": JSONValue(main)], at: 0) }
    return .array(named)
  }

  /// The vocabulary as an object of ids, padding left out.
  func vocabulary() -> JSONObject {
    JSONObject(tokens.indices.filter { !isPadding($0) }.map { (tokens[$0], JSONValue($0)) })
  }
}
