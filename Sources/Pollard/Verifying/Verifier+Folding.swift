import GraphCompaction
import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage

extension Verifier {
  /// The plan with the biases that must stand for units which are gone, recomputed from the original's weights.
  ///
  /// A unit that the verifier's masks declare off contributes nothing to the masked model, so nothing of it is folded.
  func withFolds(_ plan: CompactionPlan, _ problems: inout [String]) throws -> CompactionPlan {
    var plan = plan
    for (index, wish) in wishes.enumerated() where plan.layers.indices.contains(index) {
      plan.layers[index].heads?.units.unfold(wish.heads)
      plan.layers[index].neurons?.unfold(wish.neurons)
    }
    do { plan.folds = try map.folds(of: plan, addsBiases: compacted.format == .onnx, pool: pool) } catch let error
      as CompactionError
    {
      problems.append(error.description)
    }
    return plan
  }

  /// The plan found without a receipt, with the units marked that are gone and contribute a constant: a bias must hold it.
  func withConstants(_ plan: CompactionPlan) throws -> CompactionPlan {
    var plan = plan
    let gone = zip(plan.layers, wishes).map { layer, wish in
      (
        heads: layer.heads.map { Set(0..<$0.units.before).subtracting($0.units.kept).subtracting(wish.heads) } ?? [],
        neurons: layer.neurons.map { Set(0..<$0.before).subtracting($0.kept).subtracting(wish.neurons) } ?? []
      )
    }
    let verdicts = try map.verdicts(heads: gone.map(\.heads), neurons: gone.map(\.neurons), pool: pool)
    for (index, found) in verdicts.enumerated() {
      plan.layers[index].heads?.units.fold(gone[index].heads, found.heads)
      plan.layers[index].neurons?.fold(gone[index].neurons, found.neurons)
    }
    return plan
  }

  /// The arithmetic of the run: double precision where biases are folded, unless only the rounding of single precision is asked about.
  func precision(of plan: CompactionPlan) -> ComputingPrecision {
    plan.folds.isEmpty ? options.precision.computing : .double
  }

  /// What the run is held to where biases are folded; nil where none is.
  func foldTolerance(_ plan: CompactionPlan) -> (share: Double, phrase: String)? {
    let types = plan.folds.map(\.bias.storedType)
    guard let row = types.map(FormatTolerance.folded).max(by: { $0.share < $1.share }) else { return nil }
    let share = options.tolerance ?? row.share
    return (share, ", tolerance \(share) of the largest value: biases rounded to \(row.type)")
  }
}

extension UnitPlan {
  /// Forgets of units that they are folded.
  fileprivate mutating func unfold(_ units: Set<Int>) {
    removed.removeAll { $0.reason == .constant && units.contains($0.index) }
  }

  /// Notes units as folded whose verdict is that they contribute a constant.
  fileprivate mutating func fold(_ units: Set<Int>, _ verdicts: [Int: UnitVerdict]) {
    for unit in units.sorted() {
      if case .constant(let rule)? = verdicts[unit] {
        removed.append(RemovedUnit(index: unit, reason: .constant, rule: rule))
      }
    }
  }
}
