import ModelGraph
import PollardBase
import TensorStorage

/// The parts of files that a streamed run reads, and where in the plan it reads them.
struct PlannedReading: Sendable {
  /// In the order of the steps.
  var parts: [FileReadAhead.Part] = []
  /// For each step the number of parts that steps before it read.
  var firstPart: [Int] = []

  /// The bytes that are asked for ahead of the matrix that is being multiplied: some hundredths of a second of a fast disk.
  static let window = 64 << 20

  /// The bytes of all parts.
  var byteCount: Int { parts.reduce(0) { $0 &+ $1.range.count } }
}

extension ExecutionPlan {
  /// The matrices that the products of a run read.
  ///
  /// - Parameter needed: for each node whether it runs.
  func plannedReading(_ needed: [Bool], _ precision: ComputingPrecision) -> PlannedReading {
    var reading = PlannedReading()
    for step in steps {
      reading.firstPart.append(reading.parts.count)
      for index in step.nodes where needed[index] {
        let node = graph.nodes[index]
        guard let id = node.input(1), let weight = graph[id].initializer,
          Self.isPackedOperand(node, 1, weight, precision)
        else { continue }
        reading.parts += weight.storedParts
      }
    }
    return reading
  }
}
