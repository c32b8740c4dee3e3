import ModelGraph
import PollardBase
import TensorStorage

/// How units are scored; the least important go first.
public enum ImportanceMetric: String, Sendable, Hashable, CaseIterable {
  /// The sum of magnitudes of the weights that read the unit: a head's slice of the output projection, a neuron's of the down projection.
  case l1
  /// The square root of the sum of their squares.
  case l2
  /// A number drawn from a seed.
  case random
}

/// The scores of one layer's units.
public struct UnitScores: Sendable, Hashable {
  /// Scores of query heads; empty where heads cannot be removed.
  public var heads: [Double] = []
  /// The number of query heads in each key/value group.
  public var queriesPerGroup = 1
  /// Scores of feed-forward neurons; empty where they cannot be removed.
  public var neurons: [Double] = []
}

extension DimensionMap {
  /// Scores every removable unit. Weights that read units are streamed once; sums are in double precision, in the order of the file.
  ///
  /// - Throws: what reading the weights throws.
  public func scores(_ metric: ImportanceMetric, seed: UInt64, pool: ThreadPool) throws(FormatError) -> [UnitScores] {
    var random = SplitMix64(state: seed)
    var result: [UnitScores] = []
    for layer in layers {
      var scores = UnitScores()
      if let heads = layer.heads {
        scores.heads = try score(.heads(heads), metric, &random, pool)
        scores.queriesPerGroup = heads.queriesPerGroup
      }
      if let neurons = layer.neurons { scores.neurons = try score(.single(neurons), metric, &random, pool) }
      result.append(scores)
    }
    return result
  }

  private func score(
    _ set: UnitSet, _ metric: ImportanceMetric, _ random: inout SplitMix64, _ pool: ThreadPool
  ) throws(FormatError) -> [Double] {
    var scores = Array(repeating: 0.0, count: set.count)
    if metric == .random { return scores.map { _ in Double(random.next() >> 11) / Double(1 << 53) } }
    for contraction in set.contractions {
      guard let consumer = consumer(contraction), let owners = set.units(along: contraction.axis, relations.table),
        let weight = graph.nodes[consumer.slot.node].input(consumer.slot.slot).flatMap({ graph[$0].initializer }),
        weight.shape.rank == 2, weight.type.canBeCast(to: .f32)
      else { continue }
      let sums = try weight.sums(along: consumer.axis, squared: metric == .l2, pool: pool)
      for (position, sum) in sums.enumerated() where owners[position] >= 0 { scores[owners[position]] += sum }
    }
    return metric == .l2 ? scores.map { $0.squareRoot() } : scores
  }
}

/// A small generator of well-mixed numbers.
///
/// Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 17.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Starts from a seed; equal seeds give equal numbers.
  public init(state: UInt64) { self.state = state }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

extension Weight {
  /// For each position along an axis of a matrix, the sum of magnitudes or of squares of all elements there.
  ///
  /// The matrix is read in the order of its file. Sums run over ascending elements for any number of threads.
  func sums(along axis: Int, squared: Bool, pool: ThreadPool) throws(FormatError) -> [Double] {
    precondition(shape.rank == 2, "a matrix")
    let sourceAxis = outerPermutation.map { $0[axis] } ?? axis
    let source = withoutOuterPermutation.cast(to: .f32)
    let rows = source.shape[0]
    let columns = source.shape[1]
    var sums = Array(repeating: 0.0, count: sourceAxis == 0 ? rows : columns)
    guard rows > 0, columns > 0 else { return sums }
    let step = max(1, (1 << 20) / columns)
    var scratch = EvaluationScratch()
    var buffer = [Float](repeating: 0, count: min(rows, step) * columns)
    var row = 0
    while row < rows {
      let count = min(step, rows - row)
      var failure: FormatError?
      buffer.withUnsafeMutableBufferPointer { all in
        let block = UnsafeMutableBufferPointer(rebasing: all[..<(count * columns)])
        do throws(FormatError) {
          try source.readFloats(
            elements: row * columns..<(row + count) * columns, into: block, scratch: &scratch)
        } catch {
          failure = error
          return
        }
        for i in 0..<count {
          var total = 0.0
          for j in 0..<columns {
            let value = Double(block[i * columns + j])
            let term = squared ? value * value : value.magnitude
            if sourceAxis == 0 { total += term } else { sums[j] += term }
          }
          if sourceAxis == 0 { sums[row + i] = total }
        }
      }
      if let failure { throw failure }
      row += count
    }
    return sums
  }
}
