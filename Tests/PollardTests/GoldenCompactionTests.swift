import CheckpointFormats
import GraphCompaction
import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// A case of the golden set: a checkpoint with dead units, or with masks, and what is to become of them.
struct CompactionCase: Sendable, CustomTestStringConvertible {
  let entry: JSONValue

  var testDescription: String { entry["name"]?.stringValue ?? "" }

  func path(_ key: String) -> String? { entry[key]?.stringValue.map { Paths.join(golden, $0) } }

  func model(_ key: String) throws -> ImportedModel? {
    guard let path = path(key) else { return nil }
    return try HuggingFaceFolder(at: path).model()
  }

  static let all: [CompactionCase] = {
    guard let source = try? FileSource(path: Paths.join(golden, "manifest.json")),
      let manifest = try? JSONValue(parsing: source.bytes(0..<source.size))
    else { return [] }
    return (manifest["cases"]?.arrayValue ?? []).map(CompactionCase.init)
  }()

  /// The masks of the case, as numbers by layer; nil when the file has tensors of other names.
  func mask() throws -> UnitMask? {
    guard let path = path("masks") else { return nil }
    let file = try Checkpoint(at: path)
    var mask = UnitMask()
    for tensor in file.tensors {
      let weight = file.weight(tensor)
      guard weight.shape.rank == 2 else { return nil }
      let numbers = try weight.cast(to: .f32).floats()
      let rows = (0..<weight.shape[0]).map { row in Array(numbers[row * weight.shape[1]..<(row + 1) * weight.shape[1]])
      }
      switch tensor.name {
      case "head_mask": mask.heads = rows
      case "kv_group_mask": mask.groups = rows
      case "ffn_mask": mask.ffn = rows
      default: return nil
      }
    }
    return mask
  }
}

@Suite("The golden set: classes, counts, and the same numbers before and after")
struct GoldenCompactionTests {
  private func plan(_ map: DimensionMap, _ mask: UnitMask?, _ shape: CompactionShape) throws -> CompactionPlan {
    try CompactionPlan(
      map: map, request: CompactionRequest(mask: mask, shape: shape), rules: LoaderRules([]), pool: pool)
  }

  private func check(_ plan: CompactionPlan, _ expected: JSONValue, _ entry: JSONValue) {
    #expect(plan.counts.dead == expected["dead"]?.intValue)
    #expect(plan.counts.declared == expected["declared"]?.intValue)
    #expect(plan.counts.constant == expected["constant"]?.intValue)
    if let padded = expected["padded"]?.intValue { #expect(plan.counts.padded == padded) }
    if let fractional = expected["fractional"]?.intValue { #expect(plan.counts.rescaled == fractional) }
    func pairs(_ key: String) -> Set<[Int]>? {
      expected[key]?.arrayValue.map { Set($0.map { $0.arrayValue?.compactMap(\.intValue) ?? [] }) }
    }
    func found(_ units: (LayerPlan) -> [Int]) -> Set<[Int]> {
      Set(plan.layers.flatMap { layer in units(layer).map { [layer.index, $0] } })
    }
    if let wanted = pairs("dead_heads") { #expect(found { $0.heads?.units.removed.map(\.index) ?? [] } == wanted) }
    if let wanted = pairs("dead_neurons") { #expect(found { $0.neurons?.removed.map(\.index) ?? [] } == wanted) }
    if let wanted = pairs("constant_heads") { #expect(found { $0.heads?.units.constant ?? [] } == wanted) }
    if let wanted = pairs("constant_neurons") { #expect(found { $0.neurons?.constant ?? [] } == wanted) }
    for layer in entry["layers_ragged"]?.arrayValue ?? [] {
      guard let index = layer["index"]?.intValue, plan.layers.indices.contains(index) else {
        Issue.record("layer of the manifest")
        continue
      }
      let mine = plan.layers[index]
      if let heads = mine.heads {
        #expect(heads.units.after == layer["heads"]?["after"]?.intValue, "heads of layer \(index)")
        #expect(heads.units.padded.count == layer["heads"]?["padded"]?.intValue, "filled heads of layer \(index)")
        #expect(heads.keptGroups.count == layer["key_value_heads"]?["after"]?.intValue, "groups of layer \(index)")
      }
      if let neurons = mine.neurons {
        #expect(neurons.after == layer["ffn"]?["after"]?.intValue, "neurons of layer \(index)")
        #expect(neurons.padded.count == layer["ffn"]?["padded"]?.intValue, "filled neurons of layer \(index)")
      }
    }
  }

  /// Every output and tap of two graphs, bit for bit.
  private func compare(_ before: Graph, _ after: Graph, _ entry: CompactionCase, _ remark: Comment) throws {
    guard let path = entry.path("inputs") else { return }
    let file = try Checkpoint(at: path)
    var given: [String: Tensor] = [:]
    for tensor in file.tensors where before.inputs.contains(where: { before[$0].name == tensor.name }) {
      given[tensor.name] = try Tensor(reading: file.weight(tensor))
    }
    let taps = Set(before.taps.map(\.name))
    let first = try GraphExecutor(before, threads: pool).run(inputs: given, collecting: taps)
    let second = try GraphExecutor(after, threads: pool).run(inputs: given, collecting: taps)
    #expect(Set(first.keys) == Set(second.keys))
    for (name, value) in first {
      let other = try #require(second[name])
      let equal = zip(value.floats(), other.floats()).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
      #expect(value.extents == other.extents && equal, "\(name), \(remark)")
    }
  }

  private func run(_ entry: CompactionCase, _ model: ImportedModel, _ mask: UnitMask?, _ expected: JSONValue?) throws {
    let map = try DimensionMap(model.graph)
    let masked = try mask.map { try map.maskedGraph($0) } ?? model.graph
    for shape in [CompactionShape.ragged, .uniform] {
      let plan = try plan(map, mask, shape)
      if shape == .ragged, let expected { check(plan, expected, entry.entry) }
      let small = try plan.apply(to: map)
      try small.validate()
      try compare(masked, small, entry, "\(shape)")
      let found = try CompactionPlan.matching(map, small, pool: pool)
      #expect(found.layers.map { $0.heads?.units.kept } == plan.layers.map { $0.heads?.units.kept }, "\(shape)")
      #expect(found.layers.map { $0.neurons?.kept } == plan.layers.map { $0.neurons?.kept }, "\(shape)")
    }
  }

  @Test("From zeros alone", arguments: CompactionCase.all.filter { $0.path("masked") != nil })
  func fromZeros(_ entry: CompactionCase) throws {
    let model = try #require(try entry.model("masked"))
    try run(entry, model, nil, entry.entry["from_zeros"])
  }

  @Test(
    "With masks",
    arguments: CompactionCase.all.filter {
      $0.path("masks") != nil && $0.entry["with_masks"]?["error"]?.stringValue == nil
    })
  func withMasks(_ entry: CompactionCase) throws {
    let model = try #require(try entry.model("dense") ?? entry.model("masked"))
    let mask = try #require(try entry.mask())
    try run(entry, model, mask, entry.entry["with_masks"])
  }

  @Test(
    "Masks that are refused",
    arguments: CompactionCase.all.filter {
      ["maskShape", "maskValue"].contains($0.entry["with_masks"]?["error"]?.stringValue ?? "")
    })
  func refused(_ entry: CompactionCase) throws {
    let model = try #require(try entry.model("dense"))
    let map = try DimensionMap(model.graph)
    let mask = try #require(try entry.mask())
    do {
      _ = try plan(map, mask, .ragged)
      Issue.record("not refused")
    } catch let error as CompactionError {
      #expect(error.code.name == entry.entry["with_masks"]?["error"]?.stringValue)
    }
  }
}
