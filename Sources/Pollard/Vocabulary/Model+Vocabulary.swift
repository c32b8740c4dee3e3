import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import PollardBase

extension Model {
  /// The model with some of its tokens, and those that have to stay beside them, ids numbered anew; the tokenizer's files follow.
  ///
  /// For texts whose tokens all stay the hidden states are the same bits, and so are the logits of all tokens that stay.
  ///
  /// - Throws: `optionDoesNotApply` for formats other than Hugging Face directories, `unknownTokenList` and `unknownToken` for the file, and what
  ///   `VocabularyTrimming` throws.
  public func keeping(tokens request: TokenRequest) throws -> Model {
    if vocabulary != nil {
      throw CompactionError(
        .optionDoesNotApply, file: request.path, subject: .option(Self.option(request)), expected: "one list of tokens",
        found: "a second one")
    }
    let names: [TokenSelection.Name]
    switch request {
    case .tokens(let file): names = try TokenListFile.read(file, takesTexts: true)
    case .corpus(let file): names = try TokenListFile.read(file, takesTexts: false)
    case .mask(let file): names = try tokens(ofMask: file)
    }
    do {
      return try trimmed(.wanted(names))
    } catch let error as FormatError where error.code == .unknownToken {
      throw error.inFile(request.path)
    }
  }

  /// The number of rows of the table that ids are looked up in; nil where the format does not tell.
  var vocabularyRows: Int? { (stored as? HuggingFaceModel)?.imported.vocabularyRows }

  /// The number of parameters before tokens were removed.
  var parametersBefore: Int { vocabulary?.parametersBefore ?? parameterCount }

  /// The model with exactly these tokens, as a receipt names them.
  func keeping(exactly tokens: KeptTokens) throws -> Model { try trimmed(.exactly(tokens)) }

  private func trimmed(_ selection: TokenSelection) throws -> Model {
    let smaller = try stored.keeping(tokens: selection)
    return Model(self, smaller.model, vocabulary: smaller.vocabulary)
  }

  private static func option(_ request: TokenRequest) -> String {
    switch request {
    case .tokens: "--keep-tokens"
    case .corpus: "--drop-unused"
    case .mask: "vocab_mask"
    }
  }

  /// Whether a mask file has a mask for tokens.
  ///
  /// - Throws: what reading the file throws.
  public func hasTokenMask(_ file: String) throws -> Bool { try !masksParametersOnly(file) && maskTable(file: file).vocabulary != nil }

  private func tokens(ofMask file: String) throws -> [TokenSelection.Name] {
    guard let mask = try maskTable(file: file).vocabulary else {
      throw CompactionError(.unknownMask, file: file, expected: "vocab_mask", found: "none")
    }
    if let rows = vocabularyRows, mask.count != rows {
      throw CompactionError(
        .maskShape, file: file, subject: .tensor("vocab_mask"), expected: "[\(rows)]", found: "[\(mask.count)]")
    }
    guard mask.allSatisfy({ $0 == 0 || $0 == 1 }) else {
      throw CompactionError(
        .maskValue, file: file, subject: .tensor("vocab_mask"), expected: "1 for tokens to keep and 0 for the others",
        found: "another number")
    }
    return mask.indices.filter { mask[$0] == 1 }.map { .identifier($0) }
  }
}

extension StoredModel {
  package func keeping(tokens: TokenSelection) throws -> (model: any StoredModel, vocabulary: TrimmedVocabulary) {
    throw CompactionError(
      .optionDoesNotApply, subject: .option("--keep-tokens, --drop-unused, vocab_mask"),
      expected: "a Hugging Face directory", found: format.rawValue,
      remedy: format == .gguf
        ? "trim the Hugging Face checkpoint first, then convert it to GGUF"
        : "trim the Hugging Face checkpoint first, then export it to ONNX")
  }
}

extension HuggingFaceModel {
  package func keeping(tokens selection: TokenSelection) throws -> (
    model: any StoredModel, vocabulary: TrimmedVocabulary
  ) {
    let folder = self.folder.checkpoint.location.folder
    let files = try TokenizerFiles(folder: folder)
    let trimming = try VocabularyTrimming(selection, of: imported, tensors: tensors, files: files)
    var vocabulary = TrimmedVocabulary(
      kept: trimming.kept, reasons: trimming.reasons, files: trimming.changedFiles.map(\.name),
      omittedFiles: trimming.omittedFiles, notes: trimming.notes, parametersBefore: parameterCount)
    for name in try Directories.names(in: folder).sorted() where !TokenizerFiles.names.contains(name) {
      let path = Paths.join(folder, name)
      if Directories.kind(of: path) == .directory {
        let known = VocabularyFiles.names.union(VocabularyFiles.alternatives)
        if let names = try? Directories.names(in: path), let inside = names.sorted().first(where: known.contains) {
          vocabulary.notes.append("\(name)/\(inside) has the whole vocabulary, and was copied as it is")
        }
      } else if VocabularyFiles.alternatives.contains(name) || name.hasSuffix(".tiktoken") {
        vocabulary.omittedFiles.append(name)
        vocabulary.notes.append(
          "\(name) lists the whole vocabulary in a form that is not rewritten, and was left out")
      } else if name.hasSuffix(".json"), !name.hasSuffix(".index.json"), name != receiptFileName {
        guard let value = try? JSONValue(file: path, limit: 16 << 20) else { continue }
        let keys = VocabularyFiles.identifierKeys(in: value)
        if !keys.isEmpty {
          vocabulary.notes.append(
            "\(name) may name ids of tokens (\(keys.joined(separator: ", "))), and was copied as it is")
        }
      }
    }
    return (try trimmed(trimming, omitting: vocabulary.omittedFiles), vocabulary)
  }
}

/// Files that hold a vocabulary under names of their own.
private enum VocabularyFiles {
  static let names: Set<String> = ["tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json"]
  static let alternatives: Set<String> = [
    "encoder.json", "vocab.bpe", "dict.txt", "bpe.codes", "sentencepiece.model", "source.spm", "target.spm",
    "tokenizer.model.v3",
  ]

  static func identifierKeys(in value: JSONValue) -> [String] { TokenizerFiles.keysOfIdentifiers(in: value) }
}
