import ModelGraph
import PollardBase

/// What a request allows where units share blocks of packed numbers.
struct BlockPolicy: Sendable {
  /// The multiple that counts are filled up to.
  let roundTo: Int
  /// Whether packed numbers may be rounded anew.
  let requantizes: Bool
  /// Whether units go because a mask says so, and not because they were found dead.
  let hasMask: Bool

  /// Whether units that asked to go may stay as fill until whole blocks go.
  func allowsFill(in blocks: UnitBlocks) -> Bool { roundTo % blocks.elements == 0 }

  /// The units among some that must stay as fill because others of their block stay.
  ///
  /// - Throws: `cutsThroughBlocks` where the request does not allow fill.
  func held(
    _ removed: [Int: RemovedUnit], by blocks: UnitBlocks?, _ subject: DiagnosticSubject, _ name: String
  ) throws(CompactionError) -> [Int] {
    guard let blocks, !requantizes else { return [] }
    let held = blocks.cut(by: removed.keys)
    if !held.isEmpty, !allowsFill(in: blocks) { throw Self.refusal(subject, name, blocks, staying: held.count) }
    return held
  }

  /// The refusal of a cut through blocks.
  ///
  /// - Parameter fillHelps: whether fill until whole blocks go is a way out.
  static func refusal(
    _ subject: DiagnosticSubject, _ name: String, _ blocks: UnitBlocks, staying: Int, fillHelps: Bool = true
  ) -> CompactionError {
    let format = blocks.format.map { " (\($0))" } ?? ""
    let fill =
      fillHelps
      ? "--round-to \(blocks.elements) lets them stay as fill until whole blocks go"
      : "remove key/value heads with all of their query heads"
    return CompactionError(
      .cutsThroughBlocks, subject: subject,
      expected:
        "\(name) to go in whole blocks of \(blocks.elements) numbers, \(blocks.count) \(name) at a time, of \(blocks.tensor)\(format)",
      found: "\(staying) \(name) in blocks with others that stay",
      remedy: "\(fill); --requantise rounds the numbers of such tensors anew")
  }
}

extension DimensionMap {
  /// Refuses factors on weights that are packed: what they give has to be rounded anew.
  func requireFactorsAreStorable(_ candidates: [Candidates]) throws(CompactionError) {
    for (layer, candidates) in zip(layers, candidates) {
      let heads = layer.heads.map { (UnitSet.heads($0), candidates.headFactors.count) }
      let neurons = layer.neurons.map { (UnitSet.single($0), candidates.neuronFactors.count) }
      for case let (set, count)? in [heads, neurons] where count > 0 {
        for case let consumer? in set.contractions.map(consumer) {
          guard let id = graph.nodes[consumer.slot.node].input(consumer.slot.slot),
            let format = graph[id].initializer?.blockFormat
          else { continue }
          throw CompactionError(
            .notExpressible, subject: .tensor(graph[id].name), expected: "a mask of zeros and ones",
            found: "\(count) other factors in layer \(layer.index), on numbers packed as \(format)",
            remedy: "--requantise rounds the numbers of such tensors anew")
        }
      }
    }
  }
}
