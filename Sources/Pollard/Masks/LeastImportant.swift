/// Chooses the least important units, in runs that go together.
package struct LeastImportant {
  /// The runs to remove, by layer.
  package private(set) var chosen: [Set<Int>]
  /// The layers that would lose all their units and keep a run.
  package private(set) var spared: [Int] = []
  /// The units that were asked to go and stay: because a layer keeps one, or because a run would be more than was asked for.
  package private(set) var missing = 0

  /// Whether there was nothing to choose from.
  package let isEmpty: Bool

  /// - Parameters:
  ///   - scores: a score for each run of each layer.
  ///   - sizes: the units in each run.
  ///   - amount: the units to remove: of each layer, or over the model, a number being per layer on average.
  ///   - keepsOne: whether each layer keeps a run.
  ///
  /// Equal scores: the lower layer goes first, then the lower run. A run that is more than what is left to remove is passed over.
  package init(_ scores: [[Double]], sizes: [[Int]], _ amount: UnitAmount?, _ scope: RankingScope, keepsOne: Bool) {
    chosen = scores.map { _ in [] }
    isEmpty = scores.allSatisfy(\.isEmpty)
    guard let amount else { return }
    let totals = sizes.map { $0.reduce(0, +) }
    let places = scores.indices.flatMap { layer in scores[layer].indices.map { (layer: layer, run: $0) } }
    func isBefore(_ a: (layer: Int, run: Int), _ b: (layer: Int, run: Int)) -> Bool {
      (scores[a.layer][a.run], a.layer, a.run) < (scores[b.layer][b.run], b.layer, b.run)
    }
    switch scope {
    case .layer:
      for layer in scores.indices {
        remove(
          places.filter { $0.layer == layer }.sorted(by: isBefore), amount.units(of: totals[layer]), sizes,
          keepsOne: keepsOne)
      }
    case .global:
      let total = totals.reduce(0, +)
      let layers = totals.count { $0 > 0 }
      let wanted =
        switch amount {
        case .share: amount.units(of: total)
        case .count(let count):
          count.multipliedReportingOverflow(by: layers).overflow ? total : min(total, count * layers)
        }
      remove(places.sorted(by: isBefore), wanted, sizes, keepsOne: keepsOne)
    }
    spared = Set(spared).sorted()
  }

  private mutating func remove(
    _ ranked: [(layer: Int, run: Int)], _ wanted: Int, _ sizes: [[Int]], keepsOne: Bool
  ) {
    var rest = wanted
    for (layer, run) in ranked where rest > 0 && sizes[layer][run] <= rest {
      if keepsOne, chosen[layer].count + 1 == sizes[layer].count {
        spared.append(layer)
        continue
      }
      chosen[layer].insert(run)
      rest -= sizes[layer][run]
    }
    missing += rest
  }
}
