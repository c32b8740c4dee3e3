import ModelGraph
import PollardBase
import TensorStorage

/// How the rows of one matrix for queries, keys and values are ordered, as blocks of one head's size.
enum FusedLayout: Sendable, Hashable {
  /// For each head its query, its key, its value.
  case byHead
  /// For each group its queries, then its key, then its value.
  case byGroup
  /// All queries, then one key and one value for all of them.
  case oneGroupLast
}

/// One layer with a fused matrix, as the configuration and its tensors tell it.
struct FusedLayer {
  var layout: FusedLayout
  /// Heads before any removal, and the key/value heads they share.
  var heads: Int
  var keyValueHeads: Int
  var headDim: Int
  var hidden: Int
  var feedForward: Int
  /// The names of the fused matrix, of the output projection and of the first feed-forward matrix.
  var fused: String
  var output: String
  var up: String
}

extension ModelBuilder {
  /// The counts of a layer: those of the configuration less `pruned_heads`, or, where layers may differ, those of its tensors.
  ///
  /// - Parameter countsHeads: whether the tensors may tell of another number of heads; not so where a head's place among all of them matters.
  /// - Throws: `configurationValue` when the heads that are left are not in equal groups; `missingTensor`, `wrongShape`.
  func describe(
    _ index: Int, _ layer: FusedLayer, _ pruned: PrunedHeads, ragged: Bool, countsHeads: Bool = true, file: String?
  ) throws(FormatError) -> LayerDescription {
    var heads = pruned.kept(index, of: layer.heads)
    let ratio = layer.heads / layer.keyValueHeads
    let groups = Dictionary(grouping: heads) { $0 / ratio }
    guard Set(groups.values.map(\.count)).count == 1 else {
      throw FormatError(
        .configurationValue, file: file, subject: .key("pruned_heads"),
        expected: "equally many heads left in each of the groups of layer \(index)",
        found: groups.sorted { $0.key < $1.key }.map { "\($0.value.count)" }.joined(separator: ", "))
    }
    var summary = LayerSummary(
      index: index, heads: heads.count, keyValueHeads: groups.count, headDim: layer.headDim,
      feedForward: layer.feedForward)
    if ragged {
      let hidden = "\(layer.hidden)"
      summary.feedForward = try blockCount(layer.up + ".weight", axis: 0, block: 1, expected: ["neurons", hidden])
      let columns = try blockCount(
        layer.output + ".weight", axis: 1, block: layer.headDim, expected: [hidden, "heads"])
      if countsHeads, columns != heads.count {
        let rows = try blockCount(
          layer.fused + ".weight", axis: 0, block: layer.headDim, expected: ["queries, keys and values", hidden])
        let shared = (rows - columns) / 2
        guard (rows - columns) % 2 == 0, shared > 0, columns % shared == 0 else {
          throw FormatError(
            .wrongShape, subject: .layer(index), expected: "query heads in equal groups",
            found: "\(columns) query heads among \(rows) of queries, keys and values")
        }
        heads = Array(0..<columns)
        summary.heads = columns
        summary.keyValueHeads = shared
      }
    }
    return LayerDescription(summary: summary, originalHeads: heads)
  }

  /// Queries, keys and values of a fused projection: `[batch, sequence, rows]` to three of `[batch, heads, sequence, headDim]`.
  ///
  /// Each is a consecutive range of rows, of all of them or within each group, so that what belongs to a head stays a slice of the matrix.
  mutating func splitFused(
    _ x: ValueID, _ layout: FusedLayout, _ layer: LayerSummary
  ) throws(FormatError) -> (q: ValueID, k: ValueID, v: ValueID) {
    let size = layer.headDim
    let ratio = layer.heads / layer.keyValueHeads
    var parts: [ValueID]
    switch layout {
    case .oneGroupLast:
      parts = try add("Split", [x, integers([layer.heads * size, size, size])], ["axis": .integer(2)], outputs: 3)
      parts[0] = try withHeadAxis(parts[0], heads: layer.heads, headDim: size)
      parts[1] = try withHeadAxis(parts[1], heads: 1, headDim: size)
      parts[2] = try withHeadAxis(parts[2], heads: 1, headDim: size)
    case .byHead, .byGroup:
      let apart = try withHeadAxis(x, heads: layer.keyValueHeads, headDim: (ratio + 2) * size)
      parts = try add("Split", [apart, integers([ratio * size, size, size])], ["axis": .integer(3)], outputs: 3)
      if layout == .byGroup { parts[0] = try withHeadAxis(parts[0], heads: layer.heads, headDim: size) }
    }
    return (
      try exchangingSequenceAndHeads(parts[0]), try exchangingSequenceAndHeads(parts[1]),
      try exchangingSequenceAndHeads(parts[2])
    )
  }

  /// The rows of a fused matrix.
  func fusedRows(_ layer: LayerSummary) -> Int { (layer.heads + 2 * layer.keyValueHeads) * layer.headDim }
}
