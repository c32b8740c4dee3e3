import GraphExecution
import ModelGraph
import PollardBase

/// Several models that are walked side by side: the one that is furthest behind goes on, so like layers are in memory together, and what one
/// has read from a file that another reads too is still in the system's cache.
///
/// The second is the model that is examined: an error of its graph is a `ComparedModelFailure`.
struct SideBySide {
  private let runs: [SteppedRun]
  private var open: [Int]

  /// Plans the models; each runs once, so nothing is kept packed.
  ///
  /// - Parameter wanted: the values that each shows.
  init(
    _ models: [(graph: Graph, inputs: [String: Tensor])], precision: ComputingPrecision, pool: ThreadPool,
    observing wanted: (Int) -> Set<ValueID>
  ) throws {
    var executors: [GraphExecutor] = []
    var runs: [SteppedRun] = []
    for (side, model) in models.enumerated() {
      try Self.named(side) {
        let executor = try GraphExecutor(
          model.graph, threads: pool, weights: .streamed, precision: precision, sharingMemoryWith: executors.first)
        executors.append(executor)
        runs.append(try executor.stepping(inputs: model.inputs, observing: wanted(side)))
      }
    }
    self.runs = runs
    open = Array(runs.indices)
  }

  /// The share of all steps that are done.
  var progress: Double { runs.map(\.progress).reduce(0, +) / Double(max(runs.count, 1)) }

  /// Runs one step of one model; false when all have ended.
  mutating func advance(_ observe: (Int, ValueID, Tensor) throws -> Void) throws -> Bool {
    guard let side = open.min(by: { (runs[$0].progress, $0) < (runs[$1].progress, $1) }) else { return false }
    try Self.named(side) {
      if try !runs[side].advance({ try observe(side, $0, $1) }) { open.removeAll { $0 == side } }
    }
    return true
  }

  private static func named(_ side: Int, _ body: () throws -> Void) throws {
    do { try body() } catch let error as GraphError where side == 1 { throw ComparedModelFailure(error: error) }
  }
}

/// A value of one of several models.
struct SideValue: Hashable {
  var side: Int
  var value: ValueID
}

/// A value to compare and the models it is compared between.
struct ComparedPair {
  var value: ComparedValue
  var reference: Int
  var other: Int

  /// The values that a model shows for it.
  func values(of side: Int) -> [ValueID] {
    side == reference ? [value.reference] : side == other ? [value.other] : []
  }
}
