import ModelGraph
import PollardBase
import TensorStorage

extension DimensionMap {
  /// The biases that take up the units which a plan removes as constants, recomputed from the weights.
  ///
  /// Units that the plan calls constant and that are not contribute nothing here: whoever proves the plan finds them.
  ///
  /// - Parameter addsBiases: whether a bias may be put where there is none, as a graph can hold and a checkpoint's class cannot.
  /// - Throws: `cannotFold` where no bias can take a constant, or the sum is beyond the type of the bias; `FormatError` from reading.
  /// - Complexity: O(weights of the units), in memory bounded by a few rows.
  public func folds(of plan: CompactionPlan, addsBiases: Bool, pool: ThreadPool) throws -> [BiasFold] {
    guard layers.count == plan.layers.count else { return [] }
    let selection = plan.layers.map { layer in
      (heads: layer.heads?.units.folded ?? [], neurons: layer.neurons?.folded ?? [])
    }
    if selection.allSatisfy({ $0.heads.isEmpty && $0.neurons.isEmpty }) { return [] }
    let verdicts = try UnitClassifier(map: self, pool: pool).verdicts(selection, others: others.map { _ in [] }).layers
    var result: [BiasFold] = []
    for ((layer, verdicts), units) in zip(zip(layers, verdicts), selection) {
      if let heads = layer.heads {
        result += try folds(.heads(heads), units.heads, verdicts.heads, layer.index, addsBiases)
      }
      if let neurons = layer.neurons {
        result += try folds(.single(neurons), units.neurons, verdicts.neurons, layer.index, addsBiases)
      }
    }
    return result
  }

  private func folds(
    _ set: UnitSet, _ units: Set<Int>, _ verdicts: SetVerdicts, _ layer: Int, _ addsBiases: Bool
  ) throws -> [BiasFold] {
    let terms = units.sorted().flatMap { verdicts.constants[$0] ?? [] }
    if terms.isEmpty { return [] }
    let targets: [FoldTarget]
    do { targets = try foldTargets(of: set, addsBiases: addsBiases).get() } catch {
      throw CompactionError(
        .cannotFold, subject: .layer(layer), expected: "a bias that takes the constant", found: error.obstacle.text)
    }
    var result: [BiasFold] = []
    for target in targets {
      let own = terms.filter { $0.contraction == target.contraction }.sorted { $0.position < $1.position }
      if !own.isEmpty { result.append(try fold(own, target, layer)) }
    }
    return result
  }

  /// One bias: what is there, and each term after it, in double precision; rounded once.
  private func fold(_ terms: [ConstantTerm], _ target: FoldTarget, _ layer: Int) throws -> BiasFold {
    let width = target.matrix.shape[1 - target.axis]
    var sum = Array(repeating: 0.0, count: width)
    // A few rows at a time, whatever the number of units.
    let step = max(1, (1 << 20) / max(1, width))
    var start = 0
    while start < terms.count {
      let part = terms[start..<min(terms.count, start + step)]
      let rows = target.matrix.keeping(part.map(\.position), axis: target.axis)
      let numbers = try (target.axis == 0 ? rows : rows.transposed()).doubles()
      for (row, term) in part.enumerated() {
        for column in 0..<width { sum[column] += numbers[row * width + column] * term.activation }
      }
      start += step
    }
    let before = try target.bias?.doubles() ?? Array(repeating: 0, count: width)
    let after = zip(before, sum).map { $0 + target.factor * $1 }
    let stored = target.bias?.storedType ?? target.elementType
    let shape = target.bias?.shape ?? [width]
    let exact = Weight.doubles(after, shape: shape)
    // Evaluated here, so that what is written and what is compared are the same bytes.
    let rounded = Weight.literal(bytes: try exact.cast(to: stored).bytes(), type: stored, shape: shape)
    guard try rounded.doubles().allSatisfy(\.isFinite) else {
      throw CompactionError(
        .cannotFold, subject: .layer(layer), expected: "a sum that \(stored) holds", found: "one beyond its range",
        remedy: "leave --fold out, or convert the model to a wider type first")
    }
    return BiasFold(
      node: target.node, place: target.place, bias: rounded.cast(to: target.bias?.type ?? target.elementType))
  }
}

extension UnitPlan {
  /// The units that are gone because a bias takes up what they contribute.
  public var folded: Set<Int> { Set(removed.lazy.filter { $0.reason == .constant }.map(\.index)) }
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// A constant has no bias that could take it.
  public static let cannotFold = Self("cannotFold", "a constant cannot be folded")
}
