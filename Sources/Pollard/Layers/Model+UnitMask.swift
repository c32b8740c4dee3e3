import GraphCompaction
import ModelArchitectures
import PollardBase

extension Model {
  /// The masks of units in a file, which speak of the layers as they are stored; nil for a file that masks parameters alone.
  ///
  /// - Throws: what reading masks throws; `masksNotApplied` where the file also masks parameters and that was not done; `layersStay` when the file takes out layers that this model still has.
  func unitMask(file: String) throws -> UnitMask? {
    try requireApplied(file)
    if try masksParametersOnly(file) { return nil }
    var table = try maskTable(file: file)
    if vocabulary == nil, table.vocabulary?.contains(0) ?? false {
      throw CompactionError(
        .unknownMask, file: file, subject: .tensor("vocab_mask"), expected: "a model whose tokens were removed before",
        found: "one with all of them", remedy: "remove them with keeping(tokens:); a verifier takes them from the receipt")
    }
    let off = try table.layersOff(of: base.dimensionMap().layerBlocks.count, file: file)
    if let layer = off.first(where: { !removals.dropped.contains($0) }) {
      throw CompactionError(
        .layersStay, file: file, subject: .layer(layer), expected: "a model without it",
        found: "one that has it", remedy: "call withoutIdleLayers(masks:) first")
    }
    if removals.isEmpty { return table.unitMask }
    let map = try stored.dimensionMap()
    let places = try basePlaces(of: map)
    table.keep(places)
    for (place, layer) in map.layers.enumerated() where base.canLackParts {
      if layer.heads == nil, isGone(places[place], .attention) { table.forgetHeads(place) }
      if layer.neurons == nil, isGone(places[place], .feedForward) { table.forgetNeurons(place) }
    }
    return table.unitMask
  }

  /// Whether a part of a layer was left out, alone or with the layer.
  private func isGone(_ layer: Int, _ part: LayerPart) -> Bool {
    if removals.parts.contains(.init(layer: layer, part: part)) { return true }
    guard let original = try? base.dimensionMap() else { return false }
    return removals.dropped.contains {
      original.layerBlocks.indices.contains($0) && original.layerBlocks[$0].contains(layer)
    }
  }

  /// The layers that a mask file takes out.
  func layersOff(file: String) throws -> [Int] {
    if try masksParametersOnly(file) { return [] }
    return try MaskTable(file: file, layers: base.layers).layersOff(
      of: base.dimensionMap().layerBlocks.count, file: file)
  }
}

extension MaskTable {
  /// The numbers of the layers that are taken out.
  ///
  /// - Throws: `maskShape` for another number of layers, `maskValue` for what is neither 0 nor 1, `maskIndex`, and `implausibleMask` where
  ///   nine tenths of many layers go.
  func layersOff(of count: Int, file: String) throws(CompactionError) -> [Int] {
    switch layers {
    case .all: return []
    case .mask(let values):
      guard values.count == count else {
        throw CompactionError(
          .maskShape, file: file, subject: .tensor("layer_mask"), expected: "[\(count)]", found: "[\(values.count)]")
      }
      if let layer = values.firstIndex(where: { $0 != 0 && $0 != 1 }) {
        throw CompactionError(
          .maskValue, file: file, subject: .layer(layer), expected: "1 to keep the layer or 0 to take it out",
          found: "\(values[layer])", remedy: "a layer that counts for a part is no layer that can be left out")
      }
      let off = values.indices.filter { values[$0] == 0 }
      guard count <= 8 || off.count * 10 < count * 9 else {
        throw CompactionError(
          .implausibleMask, file: file, subject: .option("layer_mask"), expected: "1 for each layer that is kept",
          found: "a mask that removes \(off.count) of \(count) layers",
          remedy: "turn the mask round if 1 means remove in it")
      }
      return off
    case .list(let numbers, let removes):
      guard numbers.allSatisfy({ (0..<count).contains($0) }) else {
        throw CompactionError(
          .maskIndex, file: file, subject: .key("layers"), expected: "layers from 0 to \(count - 1)",
          found: numbers.filter { !(0..<count).contains($0) }.map(String.init).joined(separator: ", "))
      }
      return (0..<count).filter { numbers.contains($0) == removes }
    }
  }
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// A mask takes out layers, and the plan is made for a model that has them.
  public static let layersStay = Self("layersStay", "the mask takes out a layer")
}
