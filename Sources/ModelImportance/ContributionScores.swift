import GraphCompaction
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// How much units add to the stream on given inputs; see `ImportanceMetric.activation`.
///
/// The model runs once; activations are looked at as they appear. Contributions are summed in double precision.
struct ContributionScores {
  let map: DimensionMap
  let request: ImportanceRequest
  let inputs: [String: Tensor]
  let pool: ThreadPool

  /// The scores of the units of each set, and of its key/value groups, whose contributions are added before their size is taken.
  ///
  /// - Throws: `notScorable` where what reads units is not linear in them; what running the graph throws.
  func scores(of sets: [ScoredSet]) throws -> [(units: [Double], groups: [Double])] {
    var places: [ValueID: [(set: Int, sum: UnitSum)]] = [:]
    for (index, set) in sets.enumerated() {
      guard let sums = map.sums(of: set.set) else {
        throw CompactionError(
          .notScorable, subject: .layer(set.layer),
          expected: "a product that reads the \(set.isHeads ? "heads" : "neurons")", found: "another operator",
          remedy: "--importance l1, l2 or ablation")
      }
      for sum in sums { places[sum.activation, default: []].append((index, sum)) }
    }
    var result = sets.map { set in
      (
        units: Array(repeating: 0.0, count: set.unitGroups(request).count),
        groups: Array(repeating: 0.0, count: set.groups.count)
      )
    }
    let executor = try GraphExecutor(map.graph, threads: pool, weights: .streamed)
    let constants = ConstantMatrices(map, pool: pool)
    let valid = ValidRows(map.graph, inputs: inputs)
    _ = try executor.run(inputs: inputs, observing: Set(places.keys)) { id, tensor in
      for (index, sum) in places[id] ?? [] {
        let set = sets[index]
        let terms = try ActivationRows(tensor, of: map.graph[id], axis: sum.axis, valid, sum)
        let matrix = try constants.reader(of: sum, rank: tensor.rank)
        let units = set.unitGroups(request)
        let sizes = sizes(terms, matrix, sum.owners, units + set.groups)
        for (unit, size) in sizes.prefix(units.count).enumerated() { result[index].units[unit] += size }
        for (group, size) in sizes.dropFirst(units.count).enumerated() { result[index].groups[group] += size }
      }
    }
    return result
  }

  /// The mean size of the contribution of each range of units.
  private func sizes(
    _ terms: ActivationRows, _ matrix: (values: [Float], rows: Int, channels: Int), _ owners: UnitOwners,
    _ ranges: [Range<Int>]
  ) -> [Double] {
    let channels = matrix.channels
    guard terms.count > 0, channels > 0 else { return ranges.map { _ in 0 } }
    var positions: [[Int]] = Array(repeating: [], count: (owners.units.max() ?? -1) + 1)
    for (position, unit) in owners.units.enumerated() where unit >= 0 { positions[unit].append(position) }
    let norm = request.norm
    let members = ranges.map { range in range.flatMap { positions.indices.contains($0) ? positions[$0] : [] } }
    let results = Results(count: ranges.count)
    pool.forEach(ranges.count) { index in
      let members = members[index]
      var total = 0.0
      var contribution = Array(repeating: 0.0, count: channels)
      // One position contributes a multiple of one row: its norm is taken once.
      let single = members.count == 1 ? Self.size(matrix.values, row: members[0], channels, norm) : nil
      for row in 0..<terms.count {
        if let single {
          total += Double(terms[row, members[0]]).magnitude * single
          continue
        }
        for channel in 0..<channels { contribution[channel] = 0 }
        matrix.values.withUnsafeBufferPointer { values in
          for position in members {
            let factor = Double(terms[row, position])
            if factor == 0 { continue }
            let start = position * channels
            for channel in 0..<channels { contribution[channel] += factor * Double(values[start + channel]) }
          }
        }
        total += Self.size(contribution, norm)
      }
      results.set(index, total / Double(terms.count))
    }
    return results.values
  }

  private static func size(_ values: [Float], row: Int, _ channels: Int, _ norm: ContributionNorm) -> Double {
    size(values[row * channels..<(row + 1) * channels].map(Double.init), norm)
  }

  private static func size(_ values: [Double], _ norm: ContributionNorm) -> Double {
    switch norm {
    case .l1: values.reduce(0) { $0 + $1.magnitude } / Double(values.count)
    case .l2: values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
  }
}

/// Numbers that threads write at places of their own.
private final class Results: @unchecked Sendable {
  private let numbers: UnsafeMutableBufferPointer<Double>

  init(count: Int) {
    numbers = .allocate(capacity: count)
    numbers.initialize(repeating: 0)
  }

  deinit { numbers.deallocate() }

  /// - Precondition: every place is written by one thread.
  func set(_ index: Int, _ value: Double) { numbers[index] = value }

  var values: [Double] { Array(numbers) }
}

/// The valid rows of an activation whose last axis carries units.
private struct ActivationRows: Sendable {
  private let values: [Float]
  private let rows: [Int]
  private let width: Int

  init(
    _ tensor: Tensor, of value: Value, axis: Int, _ valid: ValidRows, _ sum: UnitSum
  ) throws(CompactionError) {
    width = sum.owners.units.count
    guard tensor.type == .f32, tensor.rank > axis, axis == tensor.rank - 1, tensor.extents[axis] == width, width > 0
    else {
      throw CompactionError(
        .notScorable, subject: .value(value.name), expected: "F32 with the units on its last axis",
        found: "\(tensor.type)\(tensor.extents)", remedy: "--importance l1, l2 or ablation")
    }
    values = tensor.floats()
    let count = values.count / width
    let kept = valid.rows(of: value, extents: tensor.extents, count: count)
    rows = (0..<count).filter { kept?[$0] ?? true }
  }

  var count: Int { rows.count }

  subscript(row: Int, position: Int) -> Float { values[rows[row] * width + position] }
}
