import ModelGraph
import PollardBase
import TensorStorage

/// Which tokens a smaller vocabulary is to have.
public enum TokenSelection: Sendable {
  /// A token as a user names it.
  public enum Name: Sendable, Hashable {
    /// By its id.
    case identifier(Int)
    /// By its text as the tokenizer's files spell it, such as `##ing`, `Ġthe` or `▁the`.
    case text(String)
  }

  /// These, and those that have to stay beside them.
  case wanted([Name])
  /// These and no others, as a receipt has them.
  case exactly(KeptTokens)
}

/// A checkpoint with fewer tokens: rows of embeddings, output matrices and output biases are selected, ids in configurations and in the tokenizer's
/// files follow.
///
/// For texts whose tokens all stay, the smaller tokenizer gives the same tokens, hidden states are the same bits, and so is the logit of
/// every token that stays.
public struct VocabularyTrimming: Sendable {
  /// The tokens that stay.
  public let kept: KeptTokens
  /// How many stay for which reason; the first that applies counts.
  public let reasons: [TokenReason: Int]
  /// The configuration of what remains.
  public let config: JSONValue
  /// The tensors of what remains, in their order.
  public let tensors: [NamedTensor]
  /// The files beside the weights that change, by name.
  public let changedFiles: [(name: String, bytes: [UInt8])]
  /// The tokenizer's files afterwards.
  public let files: TokenizerFiles
  /// The names of files that describe the whole vocabulary and cannot be rewritten.
  public let omittedFiles: [String]
  /// Things worth telling, as sentences without the stop.
  public let notes: [String]

  /// Selects tokens.
  ///
  /// - Parameters:
  ///   - model: the model as it is.
  ///   - tensors: its tensors as they are stored.
  ///   - files: the tokenizer's files; none of them has to be there, then ids are all that is known.
  /// - Throws: `unknownToken`, `cannotExpress` where no table of tokens is found; `unsupportedTokenizer`, `malformedTokenizer`,
  ///   `vocabularyMismatch` for tokenizers that cannot be made smaller.
  /// - Complexity: O(size of the tokenizer's files); no weights are read.
  public init(
    _ selection: TokenSelection, of model: ImportedModel, tensors: [NamedTensor], files: TokenizerFiles
  ) throws(FormatError) {
    let before = try Self.rows(of: model)
    let source = try VocabularySource(files, config: model.config)
    var generation = try files.json("generation_config.json")
    let defaults = TokenIdentifiers.classDefaults(model.modelType).filter { model.config[$0.key] == nil }
    switch selection {
    case .exactly(let tokens):
      guard tokens.before == before else {
        throw FormatError(
          .vocabularyMismatch, file: model.configPath, expected: "a vocabulary of \(tokens.before) tokens",
          found: "\(before)")
      }
      kept = tokens
      reasons = [:]
    case .wanted(let names):
      var closure = Closure(before: before)
      for name in names { closure.add(try Self.identifier(of: name, source, below: before), .requested) }
      for (id, reason) in source.requirements() { closure.add(id, reason) }
      for id in TokenIdentifiers.all(in: model.config) + TokenIdentifiers.all(in: generation ?? .null)
        + defaults.map(\.id)
      {
        closure.add(id, .configuration)
      }
      for id in try source.mergedFrom(closure.reasons.keys) { closure.add(id, .merges) }
      if let architecture = model.architecture as? BertArchitecture, architecture.countsPositionsFromPadding {
        // Positions count from the padding token's id, so that must not change.
        let padding = model.config["pad_token_id"]?.intValue ?? 1
        for id in 0...max(0, min(padding, before - 1)) { closure.add(id, .positions) }
        for id in try source.mergedFrom(closure.reasons.filter { $0.value == .positions }.keys) {
          closure.add(id, .merges)
        }
      }
      guard let tokens = KeptTokens(before: before, identifiers: closure.reasons.keys.sorted()) else {
        throw FormatError(
          .cannotExpress, file: model.configPath, subject: .key("vocab_size"), expected: "at least one token to stay",
          found: "none")
      }
      kept = tokens
      reasons = Dictionary(closure.reasons.values.map { ($0, 1) }, uniquingKeysWith: +)
    }
    let tokens = self.kept
    func new(_ id: Int) -> Int { tokens.newIdentifier(of: id) ?? id }

    var editor = ConfigurationEditor(TokenIdentifiers.mapped(model.config, new))
    editor.set("vocab_size", kept.count)
    for (key, id) in defaults {
      if let place = kept.newIdentifier(of: id), place != id { editor.set(key, place) }
    }
    config = editor.config

    let trimmed = try TokenizerTrimming(files, source, kept, config: editor.config)
    var rest = trimmed.files
    var changed = trimmed.changed
    if let old = generation, let text = files.bytes["generation_config.json"] {
      generation = TokenIdentifiers.mapped(old, new)
      if let generation, generation != old {
        rest.bytes["generation_config.json"] = generation.bytes(like: text)
        changed.append("generation_config.json")
      }
    }
    self.files = rest
    changedFiles = changed.compactMap { name in rest.bytes[name].map { (name: name, bytes: $0) } }
    omittedFiles = trimmed.omitted
    var notes = trimmed.notes
    if source.isEmpty {
      notes.append("there are no tokenizer files, so only the ids in the configurations were changed")
    }
    for (name, value) in [("config.json", model.config), ("generation_config.json", generation ?? .null)] {
      for key in TokenIdentifiers.doubtfulKeys(in: value) {
        notes.append("\(name): \"\(key)\" may name a token; it was left alone")
      }
    }
    self.tensors = VocabularyTensors.trimmed(
      tensors, kept, basePrefix: model.architecture.basePrefix,
      unread: Set(model.passedThrough.filter { $0.reason == .unused }.map(\.name)), notes: &notes)
    self.notes = notes
  }

  private struct Closure {
    let before: Int
    var reasons: [Int: TokenReason] = [:]

    /// Ids beyond the rows have none to keep.
    mutating func add(_ id: Int, _ reason: TokenReason) {
      if (0..<before).contains(id), reasons[id] == nil { reasons[id] = reason }
    }
  }

  private static func rows(of model: ImportedModel) throws(FormatError) -> Int {
    if let rows = model.vocabularyRows { return rows }
    throw FormatError(
      .cannotExpress, file: model.configPath, subject: .key("vocab_size"),
      expected: "a table with a row for each token",
      found: "none")
  }

  private static func identifier(
    of name: TokenSelection.Name, _ source: VocabularySource, below rows: Int
  ) throws(FormatError) -> Int {
    switch name {
    case .identifier(let id):
      guard (0..<rows).contains(id) else {
        throw FormatError(.unknownToken, expected: "ids from 0 to \(rows - 1)", found: "\(id)")
      }
      return id
    case .text(let text):
      guard let id = source.identifier(text) else {
        throw FormatError(
          .unknownToken,
          expected: source.isEmpty ? "ids, because there are no tokenizer files" : "a token of the tokenizer",
          found: "\"\(text)\"", remedy: "tokens are spelled as in the tokenizer's files, such as ##ing, Ġthe or ▁the")
      }
      guard id < rows else {
        throw FormatError(
          .unknownToken, expected: "a token with a row in the embedding, \(rows) rows", found: "\"\(text)\", id \(id)")
      }
      return id
    }
  }
}

extension ImportedModel {
  /// The number of rows of the table that ids of tokens are looked up in.
  public var vocabularyRows: Int? {
    bindings.lazy.compactMap { VocabularyTensors.embeddingRows($0, basePrefix: architecture.basePrefix) }.first
  }
}

extension DiagnosticCode where Domain == FormatDomain {
  /// A list of tokens names one that the model does not have.
  public static let unknownToken = Self("unknownToken", "there is no such token")
}
