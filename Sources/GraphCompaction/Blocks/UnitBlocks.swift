import ModelGraph
import TensorStorage

/// How many units stay or go together, because a tensor along whose rows they lie is packed in blocks.
///
/// Blocks are counted from the start of a row, and so are units: with blocks of 256 neurons, neurons 0 … 255 are one such run. Heads of 64 channels
/// in blocks of 256 go by four; heads of 80 channels in blocks of 32 go by two.
public struct UnitBlocks: Sendable, Hashable {
  /// The number of consecutive units of a run. It divides the number of units.
  public var count: Int
  /// The number of elements of the longest block.
  public var elements: Int
  /// The tensor that has it.
  public var tensor: String
  /// Its format; nil where it is made of tensors of several formats.
  public var format: BlockFormat?

  /// Creates the description of a run.
  public init(count: Int, elements: Int, tensor: String, format: BlockFormat?) {
    self.count = count
    self.elements = elements
    self.tensor = tensor
    self.format = format
  }

  /// The units among some that lie in runs of which others stay, ascending.
  func cut(by leaving: some Collection<Int>) -> [Int] {
    var inRun: [Int: Int] = [:]
    for unit in leaving { inRun[unit / count, default: 0] += 1 }
    return leaving.filter { inRun[$0 / count] != count }.sorted()
  }
}

extension DimensionMap {
  /// How units lie in the blocks of packed tensors; nil where each can go by itself.
  ///
  /// No weight is read.
  func unitBlocks(of set: UnitSet) -> UnitBlocks? {
    var result: UnitBlocks?
    var seen: Set<WeightUse> = []
    for use in set.dimensions.flatMap(\.uses) where seen.insert(use).inserted {
      guard let id = graph.nodes[use.slot.node].input(use.slot.slot), let weight = graph[id].initializer,
        let axis = relations.operandAxes[use.slot]?[use.axis]
      else { continue }
      let elements = weight.blockGranularity(axis: use.axis)
      guard elements > 1, let owners = set.units(along: axis, relations.table) else { continue }
      let count = Self.run(owners, elements, of: set.count)
      guard count > 1 else { continue }
      let together = result.map { $0.count.leastCommonMultiple(with: count) ?? set.count } ?? count
      if result.map({ $0.elements < elements }) ?? true {
        result = UnitBlocks(count: together, elements: elements, tensor: graph[id].name, format: weight.blockFormat)
      } else {
        result?.count = together
      }
    }
    return result
  }

  /// The fewest consecutive units such that every block lies within a run of them; all where a block holds something else beside units.
  private static func run(_ owners: [Int], _ elements: Int, of total: Int) -> Int {
    var spans: Set<[Int]> = []
    for start in stride(from: 0, to: owners.count, by: elements) {
      let block = owners[start..<min(start + elements, owners.count)]
      guard let first = block.min(), let last = block.max(), last >= 0 else { continue }
      if first < 0 { return total }
      if first != last { spans.insert([first, last]) }
    }
    if spans.isEmpty { return 1 }
    return (1...total).first { run in
      total % run == 0 && spans.allSatisfy { $0[0] / run == $0[1] / run }
    } ?? total
  }
}

extension Int {
  /// The least common multiple of two positive numbers; nil where it is no `Int`.
  func leastCommonMultiple(with other: Int) -> Int? {
    var (x, y) = (self, other)
    while y != 0 { (x, y) = (y, x % y) }
    let (product, overflow) = (self / x).multipliedReportingOverflow(by: other)
    return overflow ? nil : product
  }
}
