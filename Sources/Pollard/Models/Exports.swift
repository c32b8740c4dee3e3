import GraphCompaction
import ModelArchitectures
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage

/// The counts of the layers relative to each other: `auto`, `ragged` or `uniform`.
public typealias ShapePolicy = CompactionShape
/// What a compaction will do: to look at, to print, to apply.
public typealias CompactionPlan = GraphCompaction.CompactionPlan
/// The computation of a model.
public typealias Graph = ModelGraph.Graph
/// The type of a tensor's elements.
public typealias ElementType = TensorStorage.ElementType
/// The threads that work is spread over.
public typealias ThreadPool = PollardBase.ThreadPool
/// A file is unreadable, malformed, inconsistent, or cannot be written.
public typealias FormatError = PollardBase.FormatError
/// A graph is ill-formed or uses what is not supported.
public typealias GraphError = PollardBase.GraphError
/// A request cannot be honoured on a well-formed model.
public typealias CompactionError = PollardBase.CompactionError
/// How far a verification has come.
public typealias VerificationProgress = ModelVerification.VerificationProgress
/// Over which channels the norms of a model masked by residual channels run.
public typealias HiddenNorm = GraphCompaction.HiddenNorm
/// What is said of mask scores that are stored with the weights.
public typealias ScoreRequest = ModelArchitectures.ScoreRequest
/// How mask scores become a mask.
public typealias ScoreRule = ModelArchitectures.ScoreRule
