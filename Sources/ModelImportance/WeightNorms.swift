import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage

/// Norms of the weights that make and read units.
///
/// Matrices are streamed once each; sums are in double precision, in the order of the file.
struct WeightNorms {
  let map: DimensionMap
  let request: ImportanceRequest
  let pool: ThreadPool
  private let constants: ConstantMatrices

  init(map: DimensionMap, request: ImportanceRequest, pool: ThreadPool) {
    self.map = map
    self.request = request
    self.pool = pool
    constants = ConstantMatrices(map, pool: pool)
  }

  /// The scores of the units of a set, and of its key/value groups, whose shared rows count once.
  ///
  /// - Throws: `notScorable` where no matrix of numbers carries the units.
  func scores(of set: ScoredSet) throws -> (units: [Double], groups: [Double]) {
    let squared = request.metric == .l2
    let ratio = set.groups.first?.count ?? 1
    var own = Array(repeating: 0.0, count: set.set.count)
    var shared = Array(repeating: 0.0, count: set.groups.count)
    var seen: Set<MatrixAxis> = []
    var found = false
    for matrix in map.matrices(of: set.set) where matrix.isReader || request.slices == .all {
      found = found || matrix.isReader
      guard seen.insert(MatrixAxis(value: matrix.value, axis: matrix.axis)).inserted else { continue }
      let sums = try constants.weight(matrix).sums(
        along: matrix.axis, squared: squared, pool: pool)
      for (position, sum) in sums.enumerated() {
        let (unit, group) = (matrix.owners.units[position], matrix.owners.groups[position])
        if unit >= 0 { own[unit] += sum } else if group >= 0, shared.indices.contains(group) { shared[group] += sum }
      }
    }
    if !found { own = try packedSums(set, squared: squared) }
    func norm(_ sum: Double) -> Double { squared ? sum.squareRoot() : sum }
    let units = set.unitGroups(request).map { range in
      norm(range.reduce(0) { $0 + own[$1] } + (ratio > 1 ? shared[range.lowerBound / ratio] : 0))
    }
    let groups = set.groups.enumerated().map { index, range in norm(range.reduce(shared[index]) { $0 + own[$1] }) }
    return (units, groups)
  }

  /// The sums over the rows of readers that are packed within operators, as those multiply by them.
  private func packedSums(_ set: ScoredSet, squared: Bool) throws -> [Double] {
    guard request.slices == .output, let readers = map.sums(of: set.set), !readers.isEmpty else {
      throw CompactionError(
        .notScorable, subject: .layer(set.layer),
        expected:
          "matrices that \(request.slices == .all ? "make and read" : "read") the \(set.isHeads ? "heads" : "neurons")",
        found: "weights packed within an operator",
        remedy: "--importance activation or ablation\(request.slices == .all ? ", or --slices output" : "")")
    }
    var own = Array(repeating: 0.0, count: set.set.count)
    for reader in readers {
      let rank = map.graph[reader.activation].type?.shape?.count ?? 2
      let matrix = try constants.reader(of: reader, rank: rank)
      for (position, unit) in reader.owners.units.enumerated() where own.indices.contains(unit) {
        for value in matrix.values[position * matrix.channels..<(position + 1) * matrix.channels] {
          own[unit] += squared ? Double(value) * Double(value) : Double(value).magnitude
        }
      }
    }
    return own
  }

  private struct MatrixAxis: Hashable {
    var value: ValueID
    var axis: Int
  }

  /// Where numbers are stored that a scale makes real only after the product, scores are of the stored numbers.
  func notes(on sets: [ScoredSet]) -> [String] {
    let isInteger = sets.contains { set in
      map.matrices(of: set.set).contains { matrix in
        (matrix.isReader || request.slices == .all)
          && !(map.graph[matrix.value].type?.element.isFloatingPoint ?? true)
      }
    }
    return isInteger
      ? ["weights that are integers are scored as they are stored, without their scales: compare within a layer only"]
      : []
  }
}
