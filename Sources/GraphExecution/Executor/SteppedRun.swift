import ModelGraph

/// A run of a graph that goes on one step at a time: between steps other models may run, and take the memory it has let go.
public final class SteppedRun {
  private var run: GraphRun
  private var inputs: [String: Tensor]?
  private let stepCount: Int
  private let buffers: BufferPool

  init(_ run: GraphRun, inputs: [String: Tensor], stepCount: Int, buffers: BufferPool) {
    self.run = run
    self.inputs = inputs
    self.stepCount = stepCount
    self.buffers = buffers
  }

  deinit { buffers.endRound() }

  /// The share of the graph's steps that are done, from 0 to 1.
  public var progress: Double { stepCount == 0 ? 1 : Double(run.nextStep) / Double(stepCount) }

  /// Runs the next step: the first time the inputs are bound, then a node, or some that are computed at once.
  ///
  /// - Parameter observe: is called for each wanted value that appears. Values that it does not keep are gone when nobody reads them.
  /// - Returns: false when the graph has come to its end.
  /// - Throws: as `GraphExecutor.run(inputs:observing:_:)`.
  public func advance(_ observe: (ValueID, Tensor) throws -> Void) throws -> Bool {
    if let inputs {
      self.inputs = nil
      try run.begin(inputs, observe)
      return true
    }
    return try run.advance(observe, timing: nil)
  }
}
