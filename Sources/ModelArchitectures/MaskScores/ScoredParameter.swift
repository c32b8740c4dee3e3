import PollardBase
import TensorStorage

/// A stored matrix and the scores from which its mask is made.
struct ScoredParameter {
  /// The place of the matrix among the tensors.
  var position: Int
  /// Its scores.
  var grid: ScoreGrid
  /// What decides.
  var rule: ScoreRule
  /// The place of a bias whose entry is zero too where a row keeps nothing.
  var bias: Int?
}

/// Whose scores are stored with the weights.
enum ScoreConvention {
  /// One score for each weight, `X.mask_scores` beside `X.weight`.
  case movement
  /// The scores are the magnitudes of the encoder's matrices; nothing is stored but the weights.
  case magnitude
  /// Scores of blocks, of rows and of columns, `X.mask_module.context_modules.<i>.mask_scores`.
  case blocks

  /// The convention in words.
  var phrase: String {
    switch self {
    case .movement: "movement pruning's mask_scores"
    case .magnitude: "magnitude pruning by a masked model"
    case .blocks: "nn_pruning's mask_scores of blocks, rows and columns"
    }
  }
}

/// The tensors of a checkpoint that holds mask scores, sorted out by their names.
struct ScoredTensors {
  let convention: ScoreConvention
  /// The matrices, without rules.
  private(set) var matrices: [(position: Int, grid: ScoreGrid)] = []
  /// The places of the tensors that are scores.
  private(set) var scores: Set<Int> = []

  private static let suffix = ".mask_scores"
  private static let contexts = ".mask_module.context_modules."

  /// Nil for a checkpoint without scores.
  ///
  /// - Parameter method: `pruning_method` of the configuration.
  /// - Throws: `maskScores` for scores of both kinds, of 2:4 masks, or without a matrix that they fit.
  init?(_ tensors: [NamedTensor], pruningMethod method: String?) throws(FormatError) {
    let found = tensors.indices.filter { tensors[$0].name.hasSuffix(Self.suffix) }
    if found.isEmpty {
      guard method == "magnitude" else { return nil }
      convention = .magnitude
      for (position, tensor) in tensors.enumerated()
      where tensor.name.contains("encoder.layer.") && tensor.name.hasSuffix(".weight") && tensor.weight.shape.rank == 2
      {
        matrices.append((position, ScoreGrid(scores: tensor.weight)))
      }
      return
    }
    scores = Set(found)
    var positions: [String: Int] = [:]
    for (position, tensor) in tensors.enumerated() { positions[tensor.name] = position }
    if let ampere = found.first(where: { tensors[$0].name.contains(".ampere_module.") }) {
      throw FormatError(
        .maskScores, file: tensors[ampere].file, subject: .tensor(tensors[ampere].name),
        expected: "scores of weights or blocks", found: "scores of nn_pruning's 2:4 patterns",
        remedy: BlockPruningArguments.remedy)
    }
    let isOfBlocks = found.filter { tensors[$0].name.contains(Self.contexts) }
    convention = isOfBlocks.isEmpty ? .movement : .blocks
    guard isOfBlocks.isEmpty || isOfBlocks.count == found.count else {
      throw FormatError(
        .maskScores, subject: .tensor(tensors[isOfBlocks[0]].name), expected: "scores of one kind",
        found: "\(isOfBlocks.count) of blocks and \(found.count - isOfBlocks.count) of weights")
    }
    if isOfBlocks.isEmpty {
      for position in found {
        let stem = tensors[position].name.dropLast(Self.suffix.count)
        let weight = try Self.weight(String(stem), of: tensors[position], positions)
        try Self.require(tensors[position], [tensors[weight].weight.shape], of: tensors[weight])
        matrices.append((weight, ScoreGrid(scores: tensors[position].weight)))
      }
    } else {
      try addBlocks(found, tensors, positions)
    }
  }

  /// Scores of blocks: one matrix of them, or a row's and a column's, either of which may be missing.
  private mutating func addBlocks(
    _ found: [Int], _ tensors: [NamedTensor], _ positions: [String: Int]
  ) throws(FormatError) {
    var contexts: [String: [Int: Int]] = [:]
    var order: [String] = []
    for position in found {
      let name = tensors[position].name
      let parts = name.dropLast(Self.suffix.count).split(separator: ".", omittingEmptySubsequences: false)
      let stem = parts.dropLast(3).joined(separator: ".")
      guard let number = parts.last.flatMap({ Int($0) }), (0...1).contains(number), !stem.isEmpty,
        name == stem + Self.contexts + "\(number)" + Self.suffix
      else {
        throw FormatError(
          .maskScores, file: tensors[position].file, subject: .tensor(name),
          expected: "X\(Self.contexts)0\(Self.suffix) or the same with 1", found: "another name")
      }
      if contexts[stem] == nil { order.append(stem) }
      contexts[stem, default: [:]][number] = position
    }
    for stem in order {
      let members = contexts[stem] ?? [:]
      guard let any = members.values.min() else { continue }
      let weight = try Self.weight(stem, of: tensors[any], positions)
      let shape = tensors[weight].weight.shape
      guard shape.rank == 2 else {
        throw FormatError(
          .maskScores, file: tensors[weight].file, subject: .tensor(tensors[weight].name), expected: "a matrix",
          found: "\(shape)")
      }
      if let block = members[0], tensors[block].weight.shape.rank == 2, members[1] == nil {
        matrices.append((weight, try Self.grid(tensors[block].weight, tensors[block], shape)))
        continue
      }
      var factors: [[Float]?] = [nil, nil]
      for (axis, position) in members {
        let weight = tensors[position].weight
        guard weight.shape.rank == 1, weight.shape[0] > 0, shape[axis] % weight.shape[0] == 0, weight.type.isScoreType
        else {
          throw FormatError(
            .maskScores, file: tensors[position].file, subject: .tensor(tensors[position].name),
            expected:
              "one score for each of \(shape[axis]) \(axis == 0 ? "rows" : "columns"), or for equal runs of them",
            found: "\(weight.type)\(weight.shape)")
        }
        factors[axis] = try weight.floats()
      }
      // The row without scores of its own counts as 1, in runs of one.
      let rows = factors[0] ?? Array(repeating: 1, count: shape[0])
      let columns = factors[1] ?? Array(repeating: 1, count: shape[1])
      let product = Weight.floats(
        rows.flatMap { row in columns.map { row * $0 } }, shape: [rows.count, columns.count])
      matrices.append((weight, try Self.grid(product, tensors[any], shape)))
    }
  }

  private static func grid(_ scores: Weight, _ tensor: NamedTensor, _ shape: Shape) throws(FormatError) -> ScoreGrid {
    guard scores.shape[0] > 0, scores.shape[1] > 0, shape[0] % scores.shape[0] == 0, shape[1] % scores.shape[1] == 0,
      scores.type.isScoreType
    else {
      throw FormatError(
        .maskScores, file: tensor.file, subject: .tensor(tensor.name),
        expected: "one score for each of the equal blocks of \(shape)", found: "\(scores.type)\(scores.shape)")
    }
    return ScoreGrid(
      scores: scores, blockRows: shape[0] / scores.shape[0], blockColumns: shape[1] / scores.shape[1])
  }

  private static func weight(
    _ stem: String, of scores: NamedTensor, _ positions: [String: Int]
  ) throws(FormatError) -> Int {
    guard let weight = positions[stem + ".weight"] else {
      throw FormatError(
        .maskScores, file: scores.file, subject: .tensor(scores.name), expected: "\"\(stem).weight\" beside it",
        found: "no such tensor")
    }
    return weight
  }

  private static func require(_ scores: NamedTensor, _ shapes: [Shape], of weight: NamedTensor) throws(FormatError) {
    guard shapes.contains(scores.weight.shape), scores.weight.shape.rank == 2, scores.weight.type.isScoreType else {
      throw FormatError(
        .maskScores, file: scores.file, subject: .tensor(scores.name),
        expected: "F32, F16 or BF16 \(weight.weight.shape), as \"\(weight.name)\"",
        found: "\(scores.weight.type)\(scores.weight.shape)")
    }
  }
}

extension ElementType {
  /// Whether scores can have this type: every value is a single-precision number.
  fileprivate var isScoreType: Bool { [.f32, .f16, .bf16].contains(self) }
}
