import GraphCompaction
import GraphExecution
import ModelArchitectures
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage

extension Verifier {
  /// Whether tensors of one part are stored in different element types, so that no bytes can be compared.
  var isInOtherTypes: Bool {
    let types = Dictionary(
      original.stored.tensorRoles.map { ($0.role, $0.type) }, uniquingKeysWith: { first, _ in first })
    return compacted.stored.tensorRoles.contains { tensor in types[tensor.role].map { $0 != tensor.type } ?? false }
  }

  /// Compares models of different formats or element types.
  ///
  /// Structure: both graphs compute the same, operator by operator, apart from the content of parameters; an ONNX file, which holds operators
  /// written out, is compared by counts. Proof: every tensor is the original's, cut and rounded to the type it is stored in. Run: the same bits
  /// where nothing was rounded; else within the tolerance of the narrowest type, or the one that is asked for.
  func conversionReport() throws -> VerificationReport {
    var problems = whole.problems + vocabularyProblems()
    guard let (plan, mapping) = try conversionPlan(&problems) else {
      return VerificationReport(
        structure: .init(problems: problems), proof: nil, run: nil, mapping: "none", asksForProof: false)
    }
    compareOutputs(&problems)
    let expected = try plan.apply(to: map)
    let computation = try compareComputation(expected, &problems)
    let isSame = computation.map { $0.differences.isEmpty && $0.remarks.isEmpty }
    let proof = try conversionProof(plan, expected, computation?.separated ?? [], &problems)
    var run: VerificationReport.Run?
    do { if runs { run = try convertedRun(plan, proof, isSame: isSame) } } catch let failure as ComparedModelFailure {
      problems.append(failure.description)
    }
    var report = VerificationReport(
      structure: .init(problems: problems), proof: proof.verdict, run: run, mapping: mapping, asksForProof: false,
      foldedBiases: plan.folds.count)
    report.notes = compacted.stored.loaderRemarks + (computation?.remarks ?? [])
    report.roundedTensors = proof.tensors?.roundedTensors
    return report
  }

  // MARK: Structure

  /// Which unit of the converted model is which of the original: from the receipt, from equal counts, or by matching rows; nil with a problem
  /// where the numbers of layers differ.
  ///
  /// - Throws: `cannotCompare` when none of the three tells it.
  private func conversionPlan(_ problems: inout [String]) throws -> (CompactionPlan, String)? {
    if let receipt = compacted.receipt, fits(receipt) {
      let plan = withFactors(CompactionPlan(layers: receipt.layers, dimensions: receipt.dimensions))
      var differences: [String] = []
      compareCounts(Model.layers(original.layers, after: plan), &differences)
      problems += differences
      return differences.isEmpty ? (try withFolds(plan, &problems), "the receipt") : nil
    }
    guard original.layers.count == compacted.layers.count else {
      problems.append("expected \(original.layers.count) layers, found \(compacted.layers.count)")
      return nil
    }
    var differences: [String] = []
    compareCounts(original.layers, &differences)
    if differences.isEmpty { return (withFactors(.keepingAll(of: map)), "equal counts") }
    do {
      return (withFactors(try CompactionPlan.matching(map, compacted.graph, pool: pool)), "matching rows")
    } catch let error as CompactionError where error.code == .noMatch {
      // A receipt that speaks of another original says that this is none.
      if compacted.receipt != nil {
        problems += ["the receipt is not of a compaction of this original"] + differences
        return nil
      }
      throw CompactionError(
        .cannotCompare, subject: error.subject,
        expected: "the receipt of the compaction, or weights of units that are the original's",
        found: "neither; \(differences[0])",
        remedy: "convert a compacted model with this tool, which carries the receipt along, or verify before converting"
      )
    }
  }

  private func compareCounts(_ expected: [LayerSummary], _ problems: inout [String]) {
    guard expected.count == compacted.layers.count else {
      return problems.append("expected \(expected.count) layers, found \(compacted.layers.count)")
    }
    // What is down to one is no dimension of a graph, so its count may not show.
    func agree(_ expected: Int, _ found: Int) -> Bool { expected == found || (expected == 1 && found == 0) }
    for (expected, found) in zip(expected, compacted.layers)
    where !agree(expected.heads, found.heads) || !agree(expected.feedForward, found.feedForward)
      // Keys that all heads share look like any head's own.
      || !(agree(expected.keyValueHeads, found.keyValueHeads)
        || (expected.keyValueHeads == 1 && found.keyValueHeads == found.heads))
    {
      problems.append(
        "layer \(expected.index): expected \(expected.heads) heads, \(expected.keyValueHeads) key/value heads and "
          + "\(expected.feedForward) neurons, found \(found.heads), \(found.keyValueHeads) and \(found.feedForward)")
    }
  }

  /// Holds the names of outputs against the original's: one that is lost, or that is new, is another function.
  private func compareOutputs(_ problems: inout [String]) {
    let ours = Set(original.graph.outputs.map { original.graph[$0].name })
    let theirs = Set(compacted.graph.outputs.map { compacted.graph[$0].name })
    for name in ours.subtracting(theirs).sorted() {
      let reason = compacted.format == .gguf && name != "last_hidden_state" ? ", for which GGUF has no place" : ""
      problems.append("output \(escapedForTerminal(name)) is missing\(reason)")
    }
    // Caches are an interface of their own, which a checkpoint does not have.
    for name in theirs.subtracting(ours).sorted() where !name.contains("present") {
      problems.append("output \(escapedForTerminal(name)) is not one of the original")
    }
  }

  /// Compares what both compute; nil where one side is no model of a described architecture.
  private func compareComputation(
    _ expected: Graph, _ problems: inout [String]
  ) throws -> ComputationComparison? {
    guard let first = original.stored.initializerRoles, let second = compacted.stored.initializerRoles else {
      return nil
    }
    let comparison = try ComputationComparison(expected, compacted.graph, roles: (first, second), pool: pool)
    problems += comparison.differences.map { "the computation differs: \($0)" }
    return comparison
  }

  // MARK: Proof

  /// What is known of the weights.
  private struct Weights {
    /// The comparison tensor by tensor; nil where the formats have none.
    var tensors: ConversionProof?
    /// The proof leg; nil where some tensor is not the original's, rounded.
    var verdict: VerificationReport.Proof?
  }

  /// The proof that every tensor is the original's, cut and rounded to the type it is stored in.
  ///
  /// - Parameter separated: matrices that are tied in one of the models only.
  private func conversionProof(
    _ plan: CompactionPlan, _ graph: Graph, _ separated: [(first: String, second: String)], _ problems: inout [String]
  ) throws -> Weights {
    guard var found = try compacted.stored.checkpointTensors(after: nil),
      var expected = try original.stored.checkpointTensors(after: (plan, graph))
    else { return Weights() }
    let tie = " (transposed)"
    for (first, second) in separated {
      if first.hasSuffix(tie), let tied = expected.first(where: { $0.role + tie == first }) {
        expected.append((second, tied.weight))
      } else if let tied = found.first(where: { $0.role + tie == second }) {
        found.append((first, tied.weight))
      }
    }
    let addends = original.stored.addends
    let stored = Dictionary(found.map { ($0.role, $0.weight) }) { first, _ in first }
    /// What norms add to their factors is part of the number in some formats.
    func adding(_ role: String, _ weight: Weight) -> Weight {
      guard let addend = addends[role], let other = stored[role], other.type == .f32, other.blockFormat == nil else {
        return weight
      }
      let ones = Shape(Array(repeating: 1, count: weight.shape.rank))
      return weight.cast(to: .f32).adding(.floats([addend], shape: ones))
    }
    let tensors = try ConversionProof(
      expected: expected.map { ($0.role, adding($0.role, $0.weight)) },
      found: found.map { ($0.role, adding($0.role, $0.weight)) },
      alternative: { try packedBeforeCut(plan) }, pool: pool, progress: progress)
    problems += tensors.problems.prefix(4)
    if tensors.problems.count > 4 { problems.append("and \(tensors.problems.count - 4) tensors more") }
    if tensors.looksSpoiled, tensors.problems.isEmpty {
      problems.append(
        "\(tensors.exactTensors) of \(tensors.tensors) tensors are the original's, rounded to their type, and "
          + "\(tensors.firstDifferent ?? "one") is not")
    }
    guard tensors.isComplete else { return Weights(tensors: tensors) }
    let verdict = try prove(plan, TensorProof(paired: tensors.exactTensors, isSame: true, problems: []))
    return Weights(tensors: tensors, verdict: verdict)
  }

  /// The tensors of a model that was packed before it was cut, in the types of the compacted file; nil where that is no order of steps.
  private func packedBeforeCut(_ plan: CompactionPlan) throws -> [(role: String, weight: Weight)]? {
    guard let file = compacted.stored as? GGUFStoredModel, let model = original.stored.importedModel else { return nil }
    let types = Dictionary(file.imported.source.tensors.map { ($0.name, $0.type) }) { first, _ in first }
    let packed = try ImportedGGUFModel(
      GGUFModel(converting: model.exported(), of: model, type: .f32, types: types)
    ).model
    return try packed.tensorsByRole(after: (plan, plan.apply(to: DimensionMap(packed.graph))))
  }

  // MARK: Run

  private func convertedRun(
    _ plan: CompactionPlan, _ weights: Weights, isSame: Bool?
  ) throws -> VerificationReport.Run? {
    let masked = try maskedGraph()
    let values = masked.outputs.compactMap { output -> ComparedValue? in
      let name = masked[output].name
      return compacted.graph.outputs.first { compacted.graph[$0].name == name }.map {
        ComparedValue(name: name, kind: .output, layer: nil, reference: output, other: $0)
      }
    }
    if values.isEmpty { return nil }
    let given = try options.inputs.map { try smallerInputs(TensorFile.read($0)) }
    let inputs = try given ?? RandomInputs.make(for: original, options: options)
    let otherNames = Set(compacted.graph.inputs.map { compacted.graph[$0].name })
    let names = Set(masked.inputs.map { masked[$0].name })
    let comparison = try RunComparison(
      reference: try whole.maskedGraph() ?? masked, other: compacted.graph, values: whole.renamed(values),
      inputs: inputs.filter { names.contains($0.key) }, otherInputs: inputs.filter { otherNames.contains($0.key) },
      unmasked: isMasked ? (whole.model ?? original).graph : nil, precision: precision(of: plan), pool: pool,
      progress: progress)
    let (share, reason) = try runTolerance(masked, plan, weights, isSame: isSame)
    return VerificationReport.Run(
      ok: comparison.comparesOutputs && comparison.isWithin(share), comparison: comparison,
      inputs: RandomInputs.phrase(inputs, options: options)
        + (share > 0 ? ", tolerance \(share) of the largest value (\(reason))" : ""),
      distanceFromUnmasked: comparison.distanceFromUnmasked)
  }

  /// How far outputs may lie apart, and why.
  private func runTolerance(
    _ masked: Graph, _ plan: CompactionPlan, _ weights: Weights, isSame: Bool?
  ) throws -> (Double, String) {
    if let stated = options.tolerance { return (stated, "as given") }
    let fold = foldTolerance(plan)?.share ?? 0
    if isSame == true, weights.tensors?.isLossless == true { return (fold, "biases hold constants, rounded") }
    guard var row = toleranceRow(masked, compacted.graph, precision(of: plan)) else {
      throw CompactionError(
        .noTolerance, subject: .option("--tolerance"), expected: "a tolerance for weights of these types",
        found: storedTypes(masked, compacted.graph).joined(separator: ", "), remedy: "state one with --tolerance")
    }
    if isSame == true, weights.verdict?.ok == true { row = FormatTolerance.proved(row) }
    return fold > row.share ? (fold, "biases hold constants, rounded") : (row.share, row.reason)
  }

  /// The tolerance for the types of two graphs' weights.
  func toleranceRow(
    _ first: Graph, _ second: Graph, _ precision: ComputingPrecision? = nil
  ) -> FormatTolerance.Row? {
    let weights = [first, second].flatMap { graph in graph.initializers.compactMap { graph[$0].initializer } }
    return FormatTolerance.row(
      for: Set(weights.filter { $0.blockFormat == nil }.map(\.storedType).filter(\.isFloatingPoint)),
      formats: Set(weights.compactMap(\.blockFormat)), precision: precision ?? options.precision.computing)
  }

  private func storedTypes(_ graphs: Graph...) -> [String] {
    let weights = graphs.flatMap { graph in graph.initializers.compactMap { graph[$0].initializer } }
    return Set(weights.map { $0.blockFormat?.name ?? $0.storedType.name }).sorted()
  }
}

extension CompactionPlan {
  /// The plan that takes nothing away.
  static func keepingAll(of map: DimensionMap) -> CompactionPlan {
    CompactionPlan(
      layers: map.layers.map { units in
        LayerPlan(
          index: units.index,
          heads: units.heads.map {
            HeadPlan(units: UnitPlan(before: $0.count, kept: Array(0..<$0.count)), groupsBefore: $0.groupCount)
          },
          neurons: units.neurons.map { UnitPlan(before: $0.size, kept: Array(0..<$0.size)) })
      })
  }
}
