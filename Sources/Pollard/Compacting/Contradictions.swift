import GraphCompaction
import PollardBase

/// The units that a mask declares off although the weights do not prove them dead, counted.
///
/// For a checkpoint that is to be masked these are all units of the mask. For one that says it was masked already, each of them is a place where
/// mask and weights contradict each other.
struct Contradictions {
  /// Layers with any, with their query heads and neurons.
  private(set) var layers: [(index: Int, heads: Int, neurons: Int)] = []
  /// Units outside of layers.
  private(set) var others = 0
  /// Units that asked to go, whatever the reason.
  private let requested: Int

  var heads: Int { layers.reduce(0) { $0 + $1.heads } }
  var neurons: Int { layers.reduce(0) { $0 + $1.neurons } }
  private var total: Int { heads + neurons + others }

  init(_ plan: CompactionPlan) {
    requested = plan.counts.requested
    for layer in plan.layers {
      let heads = layer.heads?.units.contradicted.count ?? 0
      let neurons = layer.neurons?.contradicted.count ?? 0
      if heads + neurons > 0 { layers.append((layer.index, heads, neurons)) }
    }
    others = plan.dimensions.reduce(0) { $0 + $1.units.contradicted.count }
  }

  /// The value of `contradictions` in reports and receipts.
  var json: JSONValue {
    [
      "heads": JSONValue(heads), "ffn": JSONValue(neurons), "other": JSONValue(others),
      "layers": .array(
        layers.map { ["index": JSONValue($0.index), "heads": JSONValue($0.heads), "ffn": JSONValue($0.neurons)] }),
    ]
  }

  /// A line for people; nil where there are none.
  var text: String? {
    if total == 0 { return nil }
    if total == requested {
      return
        "  the mask alone decides: none of the \(humanCount(total)) units is dead in the weights as they are stored"
    }
    var kinds: [String] = []
    func add(_ name: String, _ counts: [(Int, Int)]) {
      let counts = counts.filter { $0.1 > 0 }
      guard !counts.isEmpty else { return }
      let places = counts.prefix(8).map { "layer \($0.0): \($0.1)" } + (counts.count > 8 ? ["…"] : [])
      kinds.append("\(humanCount(counts.reduce(0) { $0 + $1.1 })) \(name) (\(places.joined(separator: ", ")))")
    }
    add("heads", layers.map { ($0.index, $0.heads) })
    add("neurons", layers.map { ($0.index, $0.neurons) })
    if others > 0 { kinds.append("\(humanCount(others)) units outside of layers") }
    return
      "  contradiction: \(humanCount(total)) of the \(humanCount(requested)) units that the mask declares off are not dead in the weights: "
      + kinds.joined(separator: "; ")
  }
}
