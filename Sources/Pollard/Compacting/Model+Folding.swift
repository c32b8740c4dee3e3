import GraphCompaction
import ModelArchitectures
import PollardBase

extension Model {
  /// Plans a compaction, under another class that computes the same where only that one has a bias for constants to be folded into.
  ///
  /// Without `folds` and `allowsRetarget` among the options, or for another output than a checkpoint, the model is this one.
  ///
  /// - Returns: the model to compact, and its plan.
  /// - Throws: as `plan(masks:options:pool:)`.
  public func planned(
    masks: MaskSource = .zeros, options: PlanOptions = PlanOptions(), pool: ThreadPool = .allProcessors
  ) throws -> (model: Model, plan: CompactionPlan) {
    let plan = try plan(masks: masks, options: options, pool: pool)
    guard options.folds, plan.counts.constant > plan.counts.folded, (options.format ?? format) == .safetensors,
      let other = try withOutputBiases()
    else { return (self, plan) }
    guard options.allowsRetarget else {
      var plan = plan
      plan.remarks.append("--retarget writes the same function as \(other.stored.modelType), which has such a bias")
      return (self, plan)
    }
    let second = try other.plan(masks: masks, options: options, pool: pool)
    guard second.counts.folded > plan.counts.folded else { return (self, plan) }
    var changed = second
    changed.remarks.insert(
      "written as model_type \(other.stored.modelType), which computes the same and has a bias for the constants", at: 0
    )
    return (other, changed)
  }

  /// The model under the class of a compacted one, if that has a bias for attention's output and this one's own has none.
  func withBiases(of compacted: Model) throws -> Model {
    guard compacted.stored.hasOutputBiases, !stored.hasOutputBiases, compacted.stored.modelType != stored.modelType,
      let other = try withOutputBiases(), other.stored.modelType == compacted.stored.modelType
    else { return self }
    return other
  }
}
