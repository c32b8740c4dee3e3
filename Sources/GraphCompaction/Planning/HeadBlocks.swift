import ModelGraph
import PollardBase

/// How the heads of a layer leave where the projection behind them is packed in blocks.
///
/// Keys and values are shared by a group's queries, so a group that stays cannot have single queries silenced by what makes them. Where the
/// blocks divide the queries of each group, whole blocks of queries leave from a group; else whole groups leave, as many at once as fill blocks.
struct HeadBlocks: Sendable {
  /// The groups that leave together.
  var groupRun = 1
  /// The queries within a group that leave together.
  var queryRun = 1

  /// The query heads, counted through all groups, that leave together.
  var headRun: Int { groupRun * queryRun }

  init(_ heads: HeadUnits) {
    guard let run = heads.blocks?.count else { return }
    let ratio = heads.queriesPerGroup
    if ratio % run == 0 {
      queryRun = run
    } else {
      queryRun = ratio
      groupRun = run.leastCommonMultiple(with: ratio).map { $0 / ratio } ?? heads.groupCount
    }
  }
}

/// The heads of a layer that may leave at most, where blocks hold some of those that asked to.
struct HeadRelease: Sendable {
  /// The heads that may leave.
  var leaving: [Int: RemovedUnit]
  /// Dead heads that stay as they are: they share blocks with a head that stays, and keys and values as well.
  var untouched: [Int] = []

  /// - Throws: `cutsThroughBlocks` where heads of the mask cannot leave and cannot be fill, `notFinite` where fill cannot be silenced.
  init(
    _ heads: HeadUnits, _ candidates: Candidates, _ policy: BlockPolicy, layer: Int
  ) throws(CompactionError) {
    leaving = candidates.heads
    guard let blocks = heads.blocks, !policy.requantizes else { return }
    let runs = HeadBlocks(heads)
    let ratio = heads.queriesPerGroup
    let gone = Set(
      (0..<heads.groupCount).filter { group in (0..<ratio).allSatisfy { leaving[group * ratio + $0] != nil } })
    // Queries of groups that stay leave in whole runs, or not at all.
    let partial = leaving.keys.filter { !gone.contains($0 / ratio) }
    var counts: [Int: Int] = [:]
    for head in partial { counts[head / blocks.count, default: 0] += 1 }
    untouched = partial.filter { counts[$0 / blocks.count] != blocks.count || ratio % blocks.count != 0 }.sorted()
    if policy.hasMask, !untouched.isEmpty {
      throw BlockPolicy.refusal(.layer(layer), "heads", blocks, staying: untouched.count, fillHelps: false)
    }
    for head in untouched { leaving[head] = nil }
    // Groups leave as many at once as fill blocks.
    let held = gone.filter { group in
      let first = group / runs.groupRun * runs.groupRun
      return !(first..<first + runs.groupRun).allSatisfy(gone.contains)
    }
    if held.isEmpty { return }
    let fill = held.flatMap { group in (0..<ratio).map { group * ratio + $0 } }
    guard policy.allowsFill(in: blocks) else {
      throw BlockPolicy.refusal(.layer(layer), "heads", blocks, staying: fill.count)
    }
    if let head = fill.filter(candidates.unstableHeads.contains).min() {
      throw CompactionPlan.notFinite("head \(head)", .layer(layer))
    }
    for head in fill { leaving[head] = nil }
  }
}
