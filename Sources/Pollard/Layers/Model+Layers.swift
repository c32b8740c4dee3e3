import GraphCompaction
import ModelArchitectures
import ModelGraph
import ModelVerification
import PollardBase

extension Model {
  /// The model without some of its layers, the others numbered anew; layers of an encoder and a decoder are counted through.
  ///
  /// This changes the function: it is a decision, never a finding. Dead layers that were left out before come back.
  ///
  /// - Throws: `cannotExpress` for layers that do not exist, for all of them, and where the configuration cannot say what remains; for graphs
  ///   `noSuchLayer` and `streamUncertain`.
  public func dropping(layers: [Int]) throws -> Model {
    let dropped = Set(removals.dropped).union(layers).sorted()
    if dropped == removals.dropped { return self }
    guard vocabulary == nil, narrowing == nil else {
      throw CompactionError(
        .optionDoesNotApply, subject: .option("--drop-layers"), expected: "layers to be dropped before tokens and channels",
        found: "a model that is smaller already")
    }
    return Model(self, try base.dropping(layers: dropped), LayerRemovals(dropped: dropped))
  }

  /// The model without the layers that a mask file takes out, and without those that add nothing to the stream of hidden states.
  ///
  /// A layer adds nothing if its attention and its feed-forward network are zero for every input, which the weights prove; with a mask file it must
  /// declare all of the layer's units off, too. A graph also loses single parts of layers. What cannot be left out stays, and `compact` says why.
  ///
  /// - Parameters:
  ///   - masks: the same as for `plan`.
  ///   - keepsDead: leaves out only what the mask file asks for.
  /// - Throws: as `dropping(layers:)` for layers of the mask file, and what reading weights and masks throws.
  public func withoutIdleLayers(
    masks: MaskSource = .zeros, keepsDead: Bool = false, pool: ThreadPool = .allProcessors
  ) throws -> Model {
    var model = self
    if case .file(let path) = masks { model = try dropping(layers: layersOff(file: path)) }
    if keepsDead || vocabulary != nil || narrowing != nil { return model }
    let map = try model.stored.dimensionMap()
    if map.layers.isEmpty { return model }
    var mask: UnitMask?
    if case .file(let path) = masks { mask = try model.unitMask(file: path) }
    let parts = try map.idleParts(mask: mask, pool: pool)
    if parts.isEmpty { return model }
    if model.stored.canLackParts { return try model.lacking(parts, in: map) }
    return try model.withoutLayers(map.idleLayers(parts), idle: parts, in: map)
  }

  /// The model with the layers and parts that were left out because they add nothing.
  func withDeadLayers() throws -> Model {
    if removals.dead.isEmpty, removals.parts.isEmpty { return self }
    let stored = try removals.dropped.isEmpty ? base : base.dropping(layers: removals.dropped)
    return Model(self, stored, LayerRemovals(dropped: removals.dropped))
  }

  /// A graph without parts that add nothing.
  func lacking(_ parts: [IdlePart], in map: DimensionMap) throws -> Model {
    var removals = removals
    let places = try basePlaces(of: map)
    removals.parts = parts.map { LayerRemovals.Part(layer: places[$0.layer], part: $0.part) }
    let original = try base.dimensionMap()
    let gone = Set(map.idleLayers(parts).flatMap { map.layerBlocks[$0] }.map { places[$0] })
    removals.dead = original.layerBlocks.indices.filter { gone.isSuperset(of: original.layerBlocks[$0]) }
    return Model(self, try stored.lacking(parts), removals)
  }

  /// The model without layers that add nothing, as far as its format has a model for what remains.
  ///
  /// What is left must be the graph that the whole one is when its layers' sums are their other terms; then the numbers of layers matter to
  /// none of them.
  func withoutLayers(_ layers: [Int], idle parts: [IdlePart], in map: DimensionMap) throws -> Model {
    if layers.isEmpty { return self }
    let numbers = baseNumbers(of: layers)
    var result = self
    do throws(FormatError) {
      let rest = try without(numbers)
      if case .same = try correspondence(of: rest, without: layers, idle: parts, in: map) { return rest }
      result.layerNotes.append(
        "\(Self.phrase(numbers)): the other layers would not compute the same under other numbers")
    } catch {
      result.layerNotes.append("\(Self.phrase(numbers)): \(error)")
    }
    return result
  }

  /// The model without layers that are said to add nothing.
  ///
  /// - Throws: as `dropping(layers:)`.
  func without(_ dead: [Int]) throws(FormatError) -> Model {
    var removals = removals
    removals.dead = dead
    do {
      return Model(self, try base.dropping(layers: Set(removals.dropped).union(dead).sorted()), removals)
    } catch let error as FormatError {
      throw error
    } catch {
      throw FormatError(.cannotExpress, file: path, expected: "a model without some layers", found: "\(error)")
    }
  }

  /// Compares the rest with the graph without what the layers' sums add; pairs lead from the whole to the rest.
  func correspondence(
    of rest: Model, without layers: [Int], idle parts: [IdlePart], in map: DimensionMap
  ) throws(FormatError) -> GraphComparison {
    let blocks = Set(layers.flatMap { map.layerBlocks[$0] })
    return try GraphComparison(
      graph.bypassing(parts.filter { blocks.contains($0.layer) }), rest.graph, checkpointTensors: [])
  }

  private static func phrase(_ numbers: [Int]) -> String {
    numbers.count == 1
      ? "layer \(numbers[0]) adds nothing and stays" : "layers \(humanIndices(numbers)) add nothing and stay"
  }

  // MARK: Numbers

  /// The numbers in the file of layers that are counted without the dropped ones.
  func baseNumbers(of layers: [Int]) -> [Int] {
    let gone = Set(removals.dropped)
    let left = (0..<(layers.max() ?? 0) + gone.count + 1).filter { !gone.contains($0) }
    return layers.map { left[$0] }
  }

  /// For each place in the map's list of layers the place in the file's.
  func basePlaces(of map: DimensionMap) throws -> [Int] {
    let original = try base.dimensionMap()
    if base.canLackParts {
      // Names stay in a graph, and with them the labels of layers.
      return map.layers.map { layer in
        original.layers.firstIndex { $0.stack == layer.stack && $0.number == layer.number } ?? layer.index
      }
    }
    let gone = Set(
      (removals.dropped + removals.dead).flatMap { number in
        original.layerBlocks.indices.contains(number) ? original.layerBlocks[number] : []
      })
    return original.layers.map(\.index).filter { !gone.contains($0) }
  }
}
