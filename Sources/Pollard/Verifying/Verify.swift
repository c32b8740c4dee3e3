import GraphCompaction
import GraphExecution
import ModelArchitectures
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage

/// Verifies that a compacted model is the function of the masked original.
///
/// The original is masked by its own zeros, and by `masks` where they are given. Nothing the compacted model says about itself is believed: its
/// receipt only tells which unit is which, and without one that is found by matching rows.
///
/// - Parameter progress: is called often, on the caller's thread.
/// - Throws: `FormatError` or `CompactionError` when a model or mask cannot be read; differences are no errors but the verdict.
public func verify(
  original: String, compacted: String, masks: MaskSource? = nil, options: VerificationOptions = VerificationOptions(),
  pool: ThreadPool = .allProcessors, progress: VerificationProgress.Handler? = nil
) throws -> Verification {
  try verify(
    original: Model(at: original), compacted: Model(at: compacted, allowingRagged: true), masks: masks,
    options: options,
    pool: pool, progress: progress)
}

/// Verifies models that are open already.
public func verify(
  original: Model, compacted: Model, masks: MaskSource? = nil, options: VerificationOptions = VerificationOptions(),
  pool: ThreadPool = .allProcessors, progress: VerificationProgress.Handler? = nil
) throws -> Verification {
  var original = try original.masked(by: masks)
  if let width = compacted.receipt?.width, original.narrowing == nil, original.hasChannels(width.units.before) {
    let verifier = WidthVerifier(
      original: original, compacted: compacted, claimed: width, masks: masks, options: options, pool: pool,
      progress: progress)
    return Verification(report: try verifier.report(), original: original.path, compacted: compacted.path)
  }
  if case .file(let path)? = masks, compacted.receipt?.vocabulary != nil {
    original = try original.dropping(layers: original.layersOff(file: path))
  }
  var verifier = try Verifier(
    original: original.withTokens(of: compacted), compacted: compacted, masks: masks, options: options, pool: pool)
  verifier.progress = progress
  return Verification(
    report: try verifier.report(), original: original.path, compacted: compacted.path,
    keptTokens: verifier.original.vocabulary?.kept)
}

/// One verification: the models, the verifier's own masks, and the map between them.
struct Verifier {
  /// The original without the layers that are gone from the compacted model.
  let original: Model
  /// The original with the layers among them that add nothing, and how its values are called there.
  let whole: WholeOriginal
  let compacted: Model
  let options: VerificationOptions
  let pool: ThreadPool
  let map: DimensionMap
  /// What the verifier's masks ask of each layer.
  let wishes: [LayerWish]
  /// The units outside of layers that they declare off, for each of the map's.
  let otherWishes: [Set<Int>]
  /// Whether the models are run; not where another run takes its place.
  var runs = true
  /// Is told how far the verification has come.
  var progress: VerificationProgress.Handler?

  init(original: Model, compacted: Model, masks: MaskSource?, options: VerificationOptions, pool: ThreadPool) throws {
    whole = try WholeOriginal(original, compacted, masks, pool: pool)
    let rest = try whole.model == nil ? whole.rest.withBiases(of: compacted) : whole.rest
    self.original = rest
    self.compacted = compacted
    self.options = options
    self.pool = pool
    map = try rest.stored.dimensionMap()
    guard case .file(let path)? = masks, let mask = try rest.unitMask(file: path) else {
      wishes = map.layers.map { _ in LayerWish() }
      otherWishes = map.others.map { _ in [] }
      return
    }
    (wishes, otherWishes) = try mask.wishes(for: map)
  }

  func report() throws -> VerificationReport {
    for model in [original, compacted] { try model.stored.checkIntegrity(pool: pool) }
    if original.format != compacted.format || isInOtherTypes {
      return try conversionReport()
    }
    var problems = whole.problems + vocabularyProblems()
    if original.stored.task != compacted.stored.task {
      problems.append(
        "\(original.stored.className ?? "a model") became \(compacted.stored.className ?? "another model")")
    }
    // A graph shows no layer whose units are down to one, so there the operators decide.
    guard original.layers.count == compacted.layers.count || original.format == .onnx else {
      problems.append("\(original.layers.count) layers became \(compacted.layers.count)")
      return VerificationReport(structure: .init(problems: problems), proof: nil, run: nil, mapping: "none")
    }
    guard let (found, source) = try mappedPlan(&problems) else {
      return VerificationReport(structure: .init(problems: problems), proof: nil, run: nil, mapping: "none")
    }
    let mapping = try withFolds(found, &problems)
    let expectedGraph = try mapping.apply(to: map)
    let names = original.stored.initializerNames.union(compacted.stored.initializerNames)
    var pairs: [ValueID: ValueID]?
    var constantProblem: String?
    switch try GraphComparison(expectedGraph, compacted.graph, checkpointTensors: names, pool: pool) {
    case .same(let found): pairs = found
    case .different(let sentence): problems.append("the computation differs: \(sentence)")
    case .otherConstant(let sentence):
      if original.format == .onnx {
        constantProblem = sentence
      } else {
        problems.append("the computation differs: \(sentence)")
      }
    }
    if compacted.format == .safetensors {
      problems += compacted.stored.notes.filter { !original.stored.notes.contains($0) }
    }
    let expected = try expectedModel(mapping, expectedGraph)
    if let configuration = expected.configuration { problems += configurationProblems(configuration) }
    let tensors =
      try original.format == .onnx
      ? TensorProof(
        paired: expected.tensors.count, isSame: pairs != nil, problems: [constantProblem].compactMap(\.self))
      : TensorProof(
        expected: expected.tensors, found: try compacted.stored.storedTensors(), pool: pool, progress: progress)
    let proof = try prove(mapping, tensors)
    var run: VerificationReport.Run?
    let rounded = expected.roundedTensors
    let usual = rounded.isEmpty ? nil : toleranceRow(original.graph, compacted.graph)
    do { if runs { run = try self.run(mapping, pairs: pairs, usual: usual) } } catch let failure as ComparedModelFailure
    {
      problems.append(failure.description)
    }
    var report = VerificationReport(
      structure: .init(problems: problems), proof: proof, run: run, mapping: source, foldedBiases: mapping.folds.count)
    if !rounded.isEmpty {
      report.roundedTensors = rounded.count
      report.notes.append(
        "the cut goes through blocks of packed numbers, so that these tensors are rounded anew: " + listed(rounded))
    }
    return report
  }

  /// Which unit of the compacted model is which of the original: from the receipt when it fits, else by matching rows.
  private func mappedPlan(_ problems: inout [String]) throws -> (CompactionPlan, String)? {
    if let receipt = compacted.receipt, fits(receipt) {
      return (withFactors(CompactionPlan(layers: receipt.layers, dimensions: receipt.dimensions)), "the receipt")
    }
    do {
      let plan = try withConstants(CompactionPlan.matching(map, compacted.graph, pool: pool))
      return (withFactors(plan), "matching rows")
    } catch let error as CompactionError {
      problems.append(error.description)
      return nil
    }
  }

  /// Whether a receipt speaks of this original. Its units must be the original's and there in the same number.
  func fits(_ receipt: Receipt) -> Bool {
    receipt.layers.count == map.layers.count
      && zip(receipt.layers, map.layers).allSatisfy { plan, layer in
        plan.heads?.units.before == layer.heads?.count && plan.heads?.groupsBefore == layer.heads?.groupCount
          && plan.neurons?.before == layer.neurons?.size
      }
      && receipt.dimensions.allSatisfy { plan in
        map.others.contains { $0.name == plan.name && $0.dimension.size == plan.units.before }
      }
  }

  func withFactors(_ plan: CompactionPlan) -> CompactionPlan {
    var plan = plan
    for (index, wish) in wishes.enumerated() {
      plan.layers[index].heads?.units.rescale(wish.headFactors)
      plan.layers[index].neurons?.rescale(wish.neuronFactors)
    }
    return plan
  }

  /// The original with the plan carried out, as it must be on disk.
  private func expectedModel(_ plan: CompactionPlan, _ graph: Graph) throws -> ReducedModel {
    let carrier = compacted.stored.modelType == original.stored.modelType ? nil : compacted.stored.modelType
    let expected = try original.stored.reduced(by: plan, graph: graph, carrier: carrier)
    if let failure = expected.failure { throw failure }
    return expected
  }

  /// Where the configuration does not tell the counts of the tensors, it must be the one that a ragged compaction leaves.
  private func configurationProblems(_ expected: JSONValue) -> [String] {
    guard let model = compacted.stored as? HuggingFaceModel, (try? model.folder.model()) == nil else { return [] }
    let found = model.imported.config
    let keys = (expected.objectValue?.keys ?? []) + (found.objectValue?.keys ?? []).filter { expected[$0] == nil }
    return keys.filter { expected[$0] != found[$0] }.map { key in
      func text(_ value: JSONValue?) -> String { value?.serialized(.compact) ?? "no value" }
      return escapedForTerminal("config.json: \(key): expected \(text(expected[key])), found \(text(found[key]))")
    }
  }

  /// Every tensor byte for byte, every missing unit dead or declared.
  func prove(_ plan: CompactionPlan, _ tensors: TensorProof) throws -> VerificationReport.Proof {
    var proof = VerificationReport.Proof(
      ok: false, keptTensors: tensors.keptTensors, removedUnits: 0, dead: 0, declared: 0, constant: 0, padded: 0,
      unproven: 0, problems: tensors.problems)
    let gone = plan.layers.map { layer in
      (heads: layer.heads?.units.missing ?? [], neurons: layer.neurons?.missing ?? [])
    }
    let fill = plan.layers.map { layer in
      (heads: Set(layer.heads?.units.padded ?? []), neurons: Set(layer.neurons?.padded ?? []))
    }
    // What the receipt calls constant is looked at again; it stays, so nothing depends on it.
    let constant = plan.layers.map { layer in
      (heads: Set(layer.heads?.units.constant ?? []), neurons: Set(layer.neurons?.constant ?? []))
    }
    let heads = plan.layers.indices.map { gone[$0].heads.union(fill[$0].heads).union(constant[$0].heads) }
    let neurons = plan.layers.indices.map { gone[$0].neurons.union(fill[$0].neurons).union(constant[$0].neurons) }
    let verdicts = try map.verdicts(heads: heads, neurons: neurons, pool: pool)
    // A declared unit's readers are zero in the masked original, whatever the file holds there.
    let isVoid: (UnitVerdicts) -> Bool = { $0.heads.values.contains(.void) || $0.neurons.values.contains(.void) }
    let masked =
      verdicts.contains(where: isVoid)
      ? try DimensionMap(maskedGraph()).verdicts(heads: heads, neurons: neurons, pool: pool) : verdicts
    for (index, verdicts) in verdicts.enumerated() {
      let wish = wishes[index]
      tally(
        &proof, "layer \(index), head", gone[index].heads, fill[index].heads, verdicts.heads, masked[index].heads,
        declared: wish.heads, folded: plan.layers[index].heads?.units.folded ?? [])
      tally(
        &proof, "layer \(index), neuron", gone[index].neurons, fill[index].neurons, verdicts.neurons,
        masked[index].neurons, declared: wish.neurons, folded: plan.layers[index].neurons?.folded ?? [])
      let off = wish.heads.subtracting(gone[index].heads).subtracting(fill[index].heads)
      let offNeurons = wish.neurons.subtracting(gone[index].neurons).subtracting(fill[index].neurons)
      if plan.layers[index].heads != nil, let unit = off.min() {
        proof.problems.append("layer \(index), head \(unit) is declared off and still there")
      }
      if plan.layers[index].neurons != nil, let unit = offNeurons.min() {
        proof.problems.append("layer \(index), neuron \(unit) is declared off and still there")
      }
    }
    try proveOthers(plan, &proof)
    whole.tally(&proof)
    for (verdicts, claimed) in zip(verdicts, constant) {
      proof.constant += claimed.heads.count { verdicts.heads[$0]?.isConstant ?? false }
      proof.constant += claimed.neurons.count { verdicts.neurons[$0]?.isConstant ?? false }
    }
    proof.ok = proof.problems.isEmpty && proof.unproven == 0
    return proof
  }

  /// Channels and other units outside of layers.
  private func proveOthers(_ plan: CompactionPlan, _ proof: inout VerificationReport.Proof) throws {
    if map.others.isEmpty { return }
    let plans = Dictionary(plan.dimensions.map { ($0.name, $0.units) }, uniquingKeysWith: { first, _ in first })
    let units = map.others.map { plans[$0.name] }
    let gone = units.map { $0?.missing ?? [] }
    let fill = units.map { Set($0?.padded ?? []) }
    let verdicts = try map.verdicts(others: zip(gone, fill).map { $0.union($1) }, pool: pool)
    for (index, other) in map.others.enumerated() {
      tally(
        &proof, "\(other.name), unit", gone[index], fill[index], verdicts[index], verdicts[index],
        declared: otherWishes[index])
      if let unit = otherWishes[index].subtracting(gone[index]).subtracting(fill[index]).min() {
        proof.problems.append("\(other.name), unit \(unit) is declared off and still there")
      }
    }
  }

  private func tally(
    _ proof: inout VerificationReport.Proof, _ name: String, _ gone: Set<Int>, _ fill: Set<Int>,
    _ verdicts: [Int: UnitVerdict], _ masked: [Int: UnitVerdict], declared: Set<Int>, folded: Set<Int> = []
  ) {
    proof.padded += fill.count
    proof.removedUnits += gone.count
    for unit in gone.union(fill).sorted() {
      let isFill = fill.contains(unit)
      switch verdicts[unit] {
      case .dead?: if !isFill { proof.dead += 1 }
      case .constant? where folded.contains(unit):
        // That the bias holds what the unit contributed is shown by the tensors, which hold the recomputed one.
        proof.constant += 1
        proof.folded += 1
      case .void? where masked[unit] == .void:
        proof.unproven += 1
        proof.problems.append("\(name) \(unit) has weights that are not finite, so zeros prove nothing about it")
      default:
        if declared.contains(unit) {
          if !isFill { proof.declared += 1 }
        } else {
          proof.unproven += 1
          if proof.problems.count < 64 {
            proof.problems.append("\(name) \(unit) is gone but neither dead nor declared off")
          }
        }
      }
    }
  }

  /// The masked original: every declared unit's readers are zero, scaled ones are scaled.
  func maskedGraph() throws -> Graph { try map.maskedGraph(wishes, others: otherWishes) }

  /// - Parameter usual: the tolerance where numbers were rounded anew; nil asks for the same bits.
  private func run(
    _ plan: CompactionPlan, pairs: [ValueID: ValueID]?, usual: FormatTolerance.Row?
  ) throws -> VerificationReport.Run? {
    let reason =
      options.tolerance == nil ? usual.map { ", tolerance \($0.share) of the largest value (\($0.reason))" } : nil
    let masked = try maskedGraph()
    let tokens = try WholeVocabulary(self, masked)
    let values = whole.renamed(comparedValues(plan, masked, pairs: pairs))
    guard values.contains(where: { $0.kind == .output }) else { return nil }
    let inputs = try options.inputs.map(TensorFile.read) ?? RandomInputs.make(for: original, options: options)
    let smaller = try tokens?.smallerInputs(inputs, areGiven: options.inputs != nil) ?? inputs
    let otherInputs = try cut(smaller, by: plan)
    var comparison = try RunComparison(
      reference: try tokens?.graph ?? whole.maskedGraph() ?? masked, other: compacted.graph,
      values: tokens?.values(values) ?? values, inputs: tokens?.inputs(smaller) ?? inputs, otherInputs: otherInputs,
      unmasked: isMasked ? (original.whole ?? whole.model ?? original).graph : nil, precision: precision(of: plan),
      pool: pool, progress: progress)
    guard comparison.comparesOutputs else { return nil }
    let folding = foldTolerance(plan)
    let tolerance = folding.map { max($0.share, usual?.share ?? 0) } ?? options.tolerance ?? usual?.share ?? 0
    if folding == nil, !comparison.isWithin(tolerance), let pairs {
      let positions = try ValuePositions(plan, in: map)
      comparison.divergence = try Divergence.find(
        reference: masked, other: compacted.graph, pairs: pairs,
        axes: { value in
          positions.cuts(of: value)?.map {
            ComparedAxis(axis: $0.axis, positions: $0.positions, otherPositions: $0.compactPositions)
          }
        }, inputs: smaller, otherInputs: otherInputs, precision: options.precision.computing, pool: pool,
        progress: progress)
    }
    return VerificationReport.Run(
      ok: comparison.isWithin(tolerance), comparison: comparison,
      inputs: RandomInputs.phrase(inputs, options: options) + (folding?.phrase ?? reason ?? "")
        + (tokens == nil ? "" : " of the tokens that stay"),
      distanceFromUnmasked: comparison.distanceFromUnmasked)
  }

  /// The same inputs for the compacted model: caches lose the heads that it lost.
  private func cut(_ inputs: [String: Tensor], by plan: CompactionPlan) throws -> [String: Tensor] {
    var result = inputs
    for cut in try plan.interfaceCuts(in: map) where map.graph.inputs.contains(cut.value) {
      let name = map.graph[cut.value].name
      guard let tensor = result[name], tensor.extents.indices.contains(cut.axis),
        cut.positions.allSatisfy({ $0 < tensor.extents[cut.axis] })
      else { continue }
      result[name] = tensor.selecting(cut.positions, axis: cut.axis)
    }
    return result
  }

  /// Whether the verifier's masks declare anything off.
  var isMasked: Bool {
    whole.isMasked || wishes.contains(where: { $0 != LayerWish() }) || otherWishes.contains(where: { !$0.isEmpty })
  }

  /// Heads, neurons, hidden states and outputs, in the order of the graph.
  private func comparedValues(_ plan: CompactionPlan, _ masked: Graph, pairs: [ValueID: ValueID]?) -> [ComparedValue] {
    var result: [ComparedValue] = []
    if let pairs {
      for point in plan.comparisonPoints(in: map) {
        guard let other = pairs[point.value] else { continue }
        result.append(
          ComparedValue(
            name: point.layer.map { "layer \($0) \(point.kind.rawValue)" } ?? point.kind.rawValue,
            kind: point.kind == .neurons ? .neurons : .heads,
            layer: point.layer, reference: point.value, other: other, axis: point.axis, positions: point.positions,
            otherPositions: point.compactPositions, units: point.units))
      }
    }
    let cuts = (try? plan.interfaceCuts(in: map)) ?? []
    let otherTaps = Dictionary(
      compacted.graph.taps.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    for (index, tap) in masked.taps.enumerated() {
      guard let other = otherTaps[tap.name] else { continue }
      result.append(
        ComparedValue(
          name: tap.name, kind: .state, layer: index > 0 ? index - 1 : nil, reference: tap.value, other: other))
    }
    for output in masked.outputs {
      let name = masked[output].name
      guard let other = compacted.graph.outputs.first(where: { compacted.graph[$0].name == name }) else { continue }
      let cut = cuts.first { $0.value == output }
      result.append(
        ComparedValue(
          name: name, kind: .output, layer: nil, reference: output, other: other, axis: cut?.axis,
          positions: cut?.positions))
    }
    var order: [ValueID: Int] = [:]
    for (index, node) in masked.nodes.enumerated() { for case let id? in node.outputs { order[id] = index } }
    return result.enumerated().sorted { a, b in
      (order[a.element.reference] ?? 0, a.offset) < (order[b.element.reference] ?? 0, b.offset)
    }.map(\.element)
  }
}

extension UnitVerdict {
  /// Whether the unit contributes the same for every input.
  fileprivate var isConstant: Bool { if case .constant = self { true } else { false } }
}

extension UnitPlan {
  /// Units of the original that are not there any more.
  fileprivate var missing: Set<Int> { Set(0..<before).subtracting(kept) }

  /// Notes factors of kept units.
  fileprivate mutating func rescale(_ factors: [Int: Float]) {
    let present = Set(kept)
    rescaled = factors.filter { present.contains($0.key) }
  }
}
