import GraphCompaction
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// Constant matrices as weights: stored, or computed by nodes from stored ones, such as those that dequantise.
final class ConstantMatrices {
  private let map: DimensionMap
  private let pool: ThreadPool
  private var executor: GraphExecutor?

  init(_ map: DimensionMap, pool: ThreadPool, executor: GraphExecutor? = nil) {
    self.map = map
    self.pool = pool
    self.executor = executor
  }

  private func runner() throws -> GraphExecutor {
    if let executor { return executor }
    let made = try GraphExecutor(map.graph, threads: pool, weights: .streamed)
    executor = made
    return made
  }

  /// The matrix as its product reads it.
  ///
  /// - Throws: `notScorable` for what is no matrix of numbers.
  func weight(_ matrix: UnitMatrix) throws -> Weight {
    let name = map.graph[matrix.value].name
    if let stored = map.graph[matrix.value].initializer {
      guard stored.shape.rank == 2, stored.type.canBeCast(to: .f32) else {
        throw CompactionError(
          .notScorable, subject: .tensor(name), expected: "a matrix of numbers", found: "\(stored.type)\(stored.shape)")
      }
      return stored
    }
    guard let tensor = try runner().values(of: [matrix.value], inputs: [:])[matrix.value], tensor.rank == 2 else {
      throw CompactionError(.notScorable, subject: .value(name), expected: "a matrix", found: "another value")
    }
    return .floats(tensor.floats(), shape: Shape(tensor.extents))
  }

  /// The matrix `[summed, channels]` that reads a sum's activation, row-major.
  ///
  /// Where it is packed within the node, the node says what it is when it is given the unit matrix.
  func reader(of sum: UnitSum, rank: Int) throws -> (values: [Float], rows: Int, channels: Int) {
    if let matrix = sum.matrix {
      let weight = try weight(matrix)
      let oriented = matrix.axis == 0 ? weight : weight.transposed()
      return (try oriented.cast(to: .f32).floats(), oriented.shape[0], oriented.shape[1])
    }
    let rows = sum.owners.units.count
    // A last row of zeros shows what the node adds by itself, its bias.
    var unit = Array(repeating: Float(0), count: (rows + 1) * rows)
    for row in 0..<rows { unit[row * rows + row] = 1 }
    let extents = Array(repeating: 1, count: max(0, rank - 2)) + [rows + 1, rows]
    guard rank >= 2, case let output?? = map.graph.nodes[sum.node].outputs.first,
      let result = try runner().values(
        of: [output], inputs: [:], given: [sum.activation: Tensor(floats: unit, extents: extents)])[output],
      result.elementCount % (rows + 1) == 0
    else {
      throw CompactionError(
        .notScorable, subject: .node(map.graph.nodes[sum.node].name), expected: "a product with a matrix",
        found: "another operator")
    }
    let channels = result.elementCount / (rows + 1)
    var values = result.floats()
    for channel in 0..<channels where values[rows * channels + channel] != 0 {
      let bias = values[rows * channels + channel]
      for row in 0..<rows { values[row * channels + channel] -= bias }
    }
    values.removeLast(channels)
    return (values, rows, channels)
  }
}
