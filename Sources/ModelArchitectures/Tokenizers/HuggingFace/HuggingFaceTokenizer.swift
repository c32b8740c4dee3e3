import PollardBase

/// A tokenizer as transformers would load it from a folder: tokenizer.json (or the older vocabulary files) with what
/// tokenizer_config.json, special_tokens_map.json, added_tokens.json and the tokenizer's class add to it.
struct HuggingFaceTokenizer: Sendable {
  /// How words become tokens.
  enum Algorithm: String, Sendable {
    case bytePair = "BPE"
    case wordPiece = "WordPiece"
    case unigram = "Unigram"
    case wordLevel = "WordLevel"
  }

  /// The content of tokenizer.json, or what it would be for older vocabulary files.
  let json: JSONObject
  /// How words become tokens.
  let algorithm: Algorithm
  /// The model's own tokens by text.
  let baseVocabulary: [ExactString: Int]
  /// The scores by id, of a Unigram model.
  let unigramScores: [Float]
  /// The added tokens by id; some of them are in the base vocabulary too.
  private(set) var addedTokens: [Int: AddedToken] = [:]
  /// The ids of the added tokens by text.
  private(set) var addedIdentifiers: [ExactString: Int] = [:]
  /// The special tokens by role.
  private(set) var specialTokens: [(role: String, token: String)] = []
  /// Special tokens without a role.
  private(set) var additionalSpecialTokens: [String] = []
  /// The content of tokenizer_config.json; empty when there is no such file.
  let configuration: JSONObject
  /// What the tokenizer's class brings.
  let tokenizerClass: TokenizerClass
  /// Whether a tokenizer.json was read.
  let isFromTokenizerFile: Bool
  private var largestAddedIdentifier: Int?

  /// Loads a tokenizer.
  ///
  /// - Parameter content: tokenizer.json, nil when there is none.
  /// - Throws: `missingTokenizer`, `malformedTokenizer`, `unsupportedTokenizer`, and what parsing throws.
  init(
    files: TokenizerFiles, content: JSONObject?, modelType: String, className: String?
  ) throws(FormatError) {
    configuration = try files.object("tokenizer_config.json") ?? JSONObject()
    let name =
      configuration["tokenizer_class"]?.stringValue ?? className ?? TokenizerClass.name(modelType: modelType)
    tokenizerClass = TokenizerClass.named(name)
    isFromTokenizerFile = content != nil
    if let content {
      json = content
    } else {
      json = try Self.assembled(files, configuration: configuration, className: name)
    }
    let file = isFromTokenizerFile ? "tokenizer.json" : nil
    guard let model = json["model"]?.objectValue else {
      throw FormatError(
        .malformedTokenizer, file: file, subject: .key("model"), expected: "an object", found: "no value")
    }
    algorithm = try Self.algorithm(of: model, file: file)
    (baseVocabulary, unigramScores) = try Self.vocabulary(of: model, algorithm: algorithm, file: file)
    try addTokens(files)
  }

  /// The number of tokens of the model alone.
  var baseCount: Int { baseVocabulary.count }

  /// The number of the model's tokens and the added ones that are not among them.
  var count: Int { baseCount + addedIdentifiers.count { baseVocabulary[$0.key] == nil } }

  /// The id of a token.
  func identifier(of token: String) -> Int? {
    addedIdentifiers[ExactString(token)] ?? baseVocabulary[ExactString(token)]
  }

  /// The text of every id that has one.
  func tokensByIdentifier() -> [Int: String] {
    var result: [Int: String] = [:]
    result.reserveCapacity(baseVocabulary.count + addedTokens.count)
    for (token, id) in baseVocabulary where addedIdentifiers[token] == nil { result[id] = token.text }
    for (token, id) in addedIdentifiers { result[id] = token.text }
    return result
  }

  /// The texts of all special tokens, those with a role first.
  var allSpecialTokens: [String] { specialTokens.map(\.token) + additionalSpecialTokens }

  /// The text of a role's special token.
  func specialToken(_ role: String) -> String? { specialTokens.first { $0.role == role }?.token }
}

// MARK: - The model

extension HuggingFaceTokenizer {
  private static func algorithm(of model: JSONObject, file: String?) throws(FormatError) -> Algorithm {
    // Files of tokenizers below 0.10 leave the type out.
    let name =
      model["type"]?.stringValue
      ?? (model["merges"] != nil ? "BPE" : model["continuing_subword_prefix"] != nil ? "WordPiece" : "Unigram")
    guard let algorithm = Algorithm(rawValue: name) else {
      throw FormatError(
        .unsupportedTokenizer, file: file, subject: .key("model.type"), expected: "BPE, WordPiece or Unigram",
        found: name)
    }
    return algorithm
  }

  private static func vocabulary(
    of model: JSONObject, algorithm: Algorithm, file: String?
  ) throws(FormatError) -> ([ExactString: Int], [Float]) {
    var identifiers: [ExactString: Int] = [:]
    func malformed(_ expected: String, _ found: String) -> FormatError {
      FormatError(.malformedTokenizer, file: file, subject: .key("model.vocab"), expected: expected, found: found)
    }
    if algorithm == .unigram {
      guard let pieces = model["vocab"]?.arrayValue else { throw malformed("a list of pieces", "something else") }
      var scores: [Float] = []
      for (id, piece) in pieces.enumerated() {
        guard let text = piece[0]?.stringValue, let score = piece[1]?.doubleValue else {
          throw malformed("a text and a score for each piece", "another entry at \(id)")
        }
        identifiers[ExactString(text)] = id
        scores.append(Float(score))
      }
      return (identifiers, scores)
    }
    guard let members = model["vocab"]?.objectValue else { throw malformed("an object of ids", "something else") }
    identifiers.reserveCapacity(members.count)
    for member in members {
      guard let id = member.value.intValue, (0..<Vocabulary.limit).contains(id) else {
        throw malformed(
          "ids from 0 to \(Vocabulary.limit - 1)",
          "\(member.value.serialized(.compact)) for \"\(member.key)\"")
      }
      identifiers[ExactString(member.key)] = id
    }
    return (identifiers, [])
  }
}

// MARK: - Added and special tokens

extension HuggingFaceTokenizer {
  /// Gives a token an id as the tokenizers library does: that of the same text, else the next one.
  private mutating func add(_ token: AddedToken) {
    guard !token.content.isEmpty else { return }
    let key = ExactString(token.content)
    let id: Int
    if let known = addedIdentifiers[key] ?? baseVocabulary[key] {
      id = known
    } else if let largest = largestAddedIdentifier, largest >= baseCount || baseCount == 0 {
      id = largest + 1
    } else {
      id = baseCount
    }
    addedIdentifiers[key] = id
    addedTokens[id] = token
    largestAddedIdentifier = max(largestAddedIdentifier ?? id, id)
  }

  private mutating func addTokens(_ files: TokenizerFiles) throws(FormatError) {
    if isFromTokenizerFile {
      for value in json["added_tokens"]?.arrayValue ?? [] {
        guard let token = AddedToken(value) else {
          throw FormatError(
            .malformedTokenizer, file: "tokenizer.json", subject: .key("added_tokens"),
            expected: "a content for each token", found: "none")
        }
        add(token)
      }
    }
    var roles = configuration
    var fromConfiguration: [(id: Int, token: AddedToken)] = []
    if let decoder = configuration["added_tokens_decoder"]?.objectValue {
      for member in decoder {
        guard let id = Int(member.key), let token = AddedToken(member.value) else {
          throw FormatError(
            .malformedTokenizer, file: "tokenizer_config.json", subject: .key("added_tokens_decoder"),
            expected: "ids with tokens", found: "\"\(member.key)\"")
        }
        fromConfiguration.append((id, token))
      }
    } else {
      for member in try files.object("special_tokens_map.json") ?? JSONObject() {
        roles.set(member.key, to: member.value)
      }
    }
    readSpecialTokens(roles)
    let special = Set(allSpecialTokens.map(ExactString.init))
    if configuration["added_tokens_decoder"] == nil, let older = try files.object("added_tokens.json") {
      for member in older {
        guard let id = member.value.intValue else { continue }
        fromConfiguration.append((id, AddedToken(member.key, isSpecial: special.contains(ExactString(member.key)))))
      }
    }
    for entry in fromConfiguration.sorted(by: { $0.id < $1.id }) {
      var token = entry.token
      token.isSpecial = token.isSpecial || special.contains(ExactString(token.content))
      add(token)
    }
    for token in allSpecialTokens where addedIdentifiers[ExactString(token)] == nil {
      add(AddedToken(token, isSpecial: true))
    }
  }

  private mutating func readSpecialTokens(_ roles: JSONObject) {
    for role in TokenizerClass.roles {
      let fallback = tokenizerClass.specialTokens.first { $0.role == role }?.token
      guard let value = roles["\(role)_token"] else {
        if let fallback { specialTokens.append((role, fallback)) }
        continue
      }
      if let text = value.stringValue ?? value["content"]?.stringValue { specialTokens.append((role, text)) }
    }
    for value in roles["additional_special_tokens"]?.arrayValue ?? [] {
      if let text = value.stringValue ?? value["content"]?.stringValue { additionalSpecialTokens.append(text) }
    }
    additionalSpecialTokens += tokenizerClass.additionalTokens
  }
}
