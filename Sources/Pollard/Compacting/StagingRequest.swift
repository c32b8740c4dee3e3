import GraphCompaction
import ModelGraph
import PollardBase

/// What is to be written, and where: a model as it is, or after a cut.
package struct StagingRequest {
  /// A plan carried out on the graph.
  package struct Cut {
    /// What was planned.
    var plan: CompactionPlan
    /// The graph that remains.
    var graph: Graph
    /// The model that remains, in the terms of its own format.
    var reduced: ReducedModel
    /// The record for the output; nil when nothing changed.
    var receipt: [UInt8]?
  }

  /// The cut; nil to write the model as it is.
  var cut: Cut?
  /// The record of an earlier compaction of the model, which a conversion carries along.
  var earlierReceipt: Receipt?
  /// The record for the output: of this cut, or of an earlier one where nothing is cut.
  var receipt: [UInt8]? { cut == nil ? earlierReceipt?.bytes : cut?.receipt }
  /// The type of the weights; nil for the types they are stored in.
  var type: WeightType?
  /// The output's format.
  var format: ModelFormat
  /// The output's path.
  var output: String
  /// The files that the output must not replace.
  var inputs: [String]
  var options: WriteOptions
  var pool: ThreadPool
}
