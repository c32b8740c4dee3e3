import GraphCompaction
import ModelArchitectures
import ModelGraph
import ModelVerification
import PollardBase

/// The original of a verification before and after layers that add nothing are left out, as the compacted model does.
///
/// What the compacted model says of its layers is only where to look: that a layer adds nothing is proved anew from the original, and that the rest
/// is the original without it follows from the graphs.
struct WholeOriginal {
  /// The original without the layers and parts that are gone from the compacted model.
  let rest: Model
  /// The original with those that add nothing; nil where there are none.
  private(set) var model: Model?
  /// What does not fit, in sentences.
  private(set) var problems: [String] = []
  /// Layers and parts that are gone and neither add nothing nor were dropped as told.
  private var unproven: [String] = []
  /// The value of the whole for a value of the rest; nil where they have the same numbers.
  private var values: [ValueID: ValueID]?
  private var map: DimensionMap?
  private var wishes: [LayerWish] = []
  private var otherWishes: [Set<Int>] = []

  /// - Throws: what reading the masks and the original's weights throws.
  init(_ original: Model, _ compacted: Model, _ masks: MaskSource?, pool: ThreadPool) throws {
    var told = try original.withDeadLayers()
    var file: String?
    if case .file(let path)? = masks {
      file = path
      told = try told.dropping(layers: original.layersOff(file: path))
    }
    let receipt = compacted.receipt
    if let dropped = receipt?.droppedLayers, dropped != told.droppedLayers {
      problems.append(
        dropped.isEmpty
          ? "layers \(humanIndices(told.droppedLayers)) were to be dropped, and none was"
          : "layers \(humanIndices(dropped)) of the original were dropped; --drop-layers says that this is wanted")
    }
    let map = try told.stored.dimensionMap()
    guard Self.looksForIdle(told, compacted, map) else {
      rest = told
      return
    }
    let mask = try file.flatMap { try told.unitMask(file: $0) }
    let idle = try map.idleParts(mask: mask, pool: pool)
    var unproven: [String] = []
    var values: [ValueID: ValueID]?
    let found =
      try told.stored.canLackParts
      ? Self.lacking(idle, told, compacted, map, &unproven)
      : Self.withoutLayers(idle, told, compacted, map, &unproven, &values)
    rest = found
    self.unproven = unproven
    self.values = values
    if found.removals == told.removals { return }
    model = told
    self.map = map
    if let mask {
      (wishes, otherWishes) = try mask.wishes(for: map)
    } else {
      wishes = map.layers.map { _ in LayerWish() }
      otherWishes = map.others.map { _ in [] }
    }
  }

  /// Whether the compacted model can have lost layers that add nothing.
  private static func looksForIdle(_ told: Model, _ compacted: Model, _ map: DimensionMap) -> Bool {
    if let receipt = compacted.receipt {
      return !receipt.removals.dead.isEmpty || !receipt.removals.parts.isEmpty
    }
    return told.stored.canLackParts
      ? compacted.format == told.format && compacted.graph.nodes.count < told.graph.nodes.count
      : compacted.layers.count < told.layers.count
  }

  /// The original without the layers that are gone; `values` leads from its values to those of the whole.
  private static func withoutLayers(
    _ idle: [IdlePart], _ told: Model, _ compacted: Model, _ map: DimensionMap, _ unproven: inout [String],
    _ values: inout [ValueID: ValueID]?
  ) throws -> Model {
    let layers = map.idleLayers(idle)
    let numbers = told.baseNumbers(of: layers)
    let claimed = compacted.receipt?.removals.dead ?? numbers
    if claimed.isEmpty { return told }
    unproven += claimed.filter { !numbers.contains($0) }.map { "layer \($0)" }
    let rest: Model
    do throws(FormatError) { rest = try told.without(claimed) } catch {
      unproven += unproven.isEmpty ? ["what is said to be without layers \(humanIndices(claimed))"] : []
      return told
    }
    let places = zip(layers, numbers).filter { claimed.contains($0.1) }.map(\.0)
    guard unproven.isEmpty else { return rest }
    switch try told.correspondence(of: rest, without: places, idle: idle, in: map) {
    case .same(let pairs): values = Dictionary(pairs.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    case .different(let sentence), .otherConstant(let sentence):
      unproven.append("what is left without layers \(humanIndices(claimed)), which computes otherwise (\(sentence)),")
    }
    return rest
  }

  /// The original without the parts of layers that are gone.
  private static func lacking(
    _ idle: [IdlePart], _ told: Model, _ compacted: Model, _ map: DimensionMap, _ unproven: inout [String]
  ) throws -> Model {
    if compacted.format != told.format { return told }
    guard let receipt = compacted.receipt else {
      // A compaction takes all that add nothing, or none.
      let sums = Set(idle.flatMap(\.sums.keys)).count
      return sums > 0 && told.graph.sumCount - compacted.graph.sumCount == sums ? try told.lacking(idle, in: map) : told
    }
    let places = try told.basePlaces(of: map)
    let chosen = idle.filter {
      receipt.removals.parts.contains(LayerRemovals.Part(layer: places[$0.layer], part: $0.part))
    }
    let known = Set(chosen.map { LayerRemovals.Part(layer: places[$0.layer], part: $0.part) })
    unproven += receipt.removals.parts.filter { !known.contains($0) }.map(\.text)
    return chosen.isEmpty ? told : try told.lacking(chosen, in: map)
  }

  /// Whether the masks declare anything off in the whole.
  var isMasked: Bool { wishes.contains { $0 != LayerWish() } || otherWishes.contains { !$0.isEmpty } }

  /// The masked whole; nil where it is the masked rest, or is not known to correspond to it.
  func maskedGraph() throws -> Graph? {
    guard let map, model != nil, unproven.isEmpty else { return nil }
    return try map.maskedGraph(wishes, others: otherWishes)
  }

  /// Compared values under their numbers in the whole.
  func renamed(_ compared: [ComparedValue]) -> [ComparedValue] {
    guard let values, unproven.isEmpty else { return compared }
    return compared.compactMap { value in
      guard let reference = values[value.reference] else { return nil }
      var value = value
      value.reference = reference
      return value
    }
  }

  /// Notes what is gone, and what is gone without proof.
  func tally(_ proof: inout VerificationReport.Proof) {
    proof.deadLayers = rest.removals.dead
    proof.droppedLayers = rest.removals.dropped
    proof.deadParts = rest.removals.parts.count
    proof.unproven += unproven.count
    proof.problems += unproven.map { "\($0) is gone but adds something for some input" }
  }
}

extension Graph {
  /// The number of additions of two computed values.
  fileprivate var sumCount: Int {
    nodes.count { node in
      node.op.name == "Add" && node.inputs.allSatisfy { $0.map { self[$0].initializer == nil } ?? false }
    }
  }
}
