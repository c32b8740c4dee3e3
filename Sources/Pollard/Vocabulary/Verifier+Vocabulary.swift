import GraphCompaction
import GraphExecution
import ModelArchitectures
import ModelGraph
import ModelVerification
import PollardBase

extension Model {
  /// This model with the tokens that a compacted one's receipt names; as it is where there is no such receipt, or it speaks of another vocabulary.
  func withTokens(of compacted: Model) throws -> Model {
    guard vocabulary == nil, format == .safetensors, let ranges = compacted.receipt?.vocabulary,
      vocabularyRows == ranges.before, let tokens = ranges.tokens
    else { return self }
    return try keeping(exactly: tokens)
  }
}

extension Verifier {
  /// What of the vocabulary does not fit: other tokens than the receipt's, ids or tokenizer files other than those the removal leaves.
  func vocabularyProblems() -> [String] {
    let stated = compacted.receipt?.vocabulary
    guard let vocabulary = original.vocabulary else {
      return stated.map { ["the receipt speaks of \($0.before) tokens, which the original does not have"] } ?? []
    }
    var problems: [String] = []
    if let stated, stated.before != vocabulary.kept.before || stated.ranges != vocabulary.kept.ranges {
      problems.append("the receipt names other tokens than were asked for")
    }
    guard let expected = original.stored as? HuggingFaceModel, let found = compacted.stored as? HuggingFaceModel else {
      return problems
    }
    let keys = ["vocab_size"] + TokenizerFiles.keysOfIdentifiers(in: expected.imported.config)
    for key in keys where expected.imported.config[key] != found.imported.config[key] {
      func text(_ value: JSONValue?) -> String { value?.serialized(.compact) ?? "no value" }
      problems.append(
        escapedForTerminal(
          "config.json: \(key): expected \(text(expected.imported.config[key])), found \(text(found.imported.config[key]))"
        ))
    }
    let folder = found.folder.checkpoint.location.folder
    for file in expected.rewrittenFiles {
      let path = Paths.join(folder, file.name)
      guard let source = try? FileSource(path: path), let bytes = try? source.bytes(0..<source.size) else {
        problems.append("\(file.name) is missing")
        continue
      }
      let isSame =
        bytes == file.bytes
        || file.name.hasSuffix(".json")
          && (try? JSONValue(parsing: bytes, allowingNonFinite: true))
            == (try? JSONValue(parsing: file.bytes, allowingNonFinite: true))
      if !isSame { problems.append("\(file.name) is not the original's with the removed tokens taken out") }
    }
    return problems
  }

  /// Given inputs with the ids of the smaller vocabulary.
  ///
  /// - Throws: `tokenRemoved` for a token that did not stay.
  func smallerInputs(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
    guard let kept = original.vocabulary?.kept else { return inputs }
    var result = inputs
    for (name, tensor) in inputs where name.hasSuffix("input_ids") {
      let ids = try tensor.integers().map { id in
        guard let new = Int(exactly: id).flatMap(kept.newIdentifier) else {
          throw CompactionError(
            .tokenRemoved, subject: .tensor(name), expected: "tokens that stay", found: "\(id)",
            remedy: "give inputs of kept tokens, in the original's ids")
        }
        return Int64(new)
      }
      result[name] = Tensor(integers: ids, extents: tensor.extents)
    }
    return result
  }
}

/// The masked original with its whole vocabulary, against which a model with fewer tokens is run.
struct WholeVocabulary {
  /// The computation; values have the same numbers as in the graph with fewer tokens.
  let graph: Graph
  private let smaller: Graph
  private let kept: KeptTokens
  private let verifier: Verifier

  /// Nil where no tokens were removed.
  ///
  /// - Parameter masked: the masked original with fewer tokens.
  init?(_ verifier: Verifier, _ masked: Graph) throws {
    guard let vocabulary = verifier.original.vocabulary, let whole = verifier.original.whole else { return nil }
    graph = try Verifier(verifier, original: whole).maskedGraph()
    guard graph.nodes.count == masked.nodes.count, graph.values.count == masked.values.count,
      graph.outputs == masked.outputs
    else {
      throw CompactionError(
        .noMatch, expected: "the same operators with all tokens and with fewer", found: "others",
        remedy: "the output matrix and the embedding differ only in rows that were removed; keep such a token")
    }
    smaller = masked
    kept = vocabulary.kept
    self.verifier = verifier
  }

  /// What is compared, of each value over the vocabulary the kept tokens only.
  func values(_ values: [ComparedValue]) -> [ComparedValue] {
    values.map { value in
      guard let all = graph[value.reference].type?.shape, let few = smaller[value.reference].type?.shape,
        let axis = all.indices.first(where: {
          few.indices.contains($0) && all[$0].constant == kept.before && few[$0].constant == kept.count
        }), value.positions == nil, kept.count < kept.before
      else { return value }
      var result = value
      result.axis = axis
      result.positions = kept.identifiers
      return result
    }
  }

  /// Inputs for the smaller vocabulary: given ones are in the original's ids, drawn ones are in the smaller's already.
  func smallerInputs(_ inputs: [String: Tensor], areGiven: Bool) throws -> [String: Tensor] {
    areGiven ? try verifier.smallerInputs(inputs) : inputs
  }

  /// The same inputs in the original's ids.
  func inputs(_ smaller: [String: Tensor]) -> [String: Tensor] {
    var result = smaller
    for (name, tensor) in smaller where name.hasSuffix("input_ids") {
      let ids = tensor.integers().map { id in
        Int(exactly: id).flatMap { kept.identifiers.indices.contains($0) ? Int64(kept.identifiers[$0]) : nil } ?? id
      }
      result[name] = Tensor(integers: ids, extents: tensor.extents)
    }
    return result
  }
}

extension Verifier {
  /// The same verification of another form of the original, which has the same units.
  fileprivate init(_ other: Verifier, original: Model) throws {
    self.original = original
    whole = other.whole
    compacted = other.compacted
    options = other.options
    pool = other.pool
    map = try original.stored.dimensionMap()
    wishes = other.wishes
    otherWishes = other.otherWishes
  }
}
