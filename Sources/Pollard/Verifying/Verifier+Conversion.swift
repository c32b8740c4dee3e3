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

  /// Compares models of different formats or element types: no tensor is the other's byte for byte, so counts and outputs are compared and nothing is proved.
  ///
  /// Outputs are compared within the tolerance of the narrowest element type, or the one that is asked for.
  func conversionReport() throws -> VerificationReport {
    var problems = whole.problems + vocabularyProblems()
    let planned = compacted.receipt.flatMap {
      fits($0) ? withFactors(CompactionPlan(layers: $0.layers, dimensions: $0.dimensions)) : nil
    }
    let receipt = try planned.map { try withFolds($0, &problems) }
    compareCounts(receipt.map { Model.layers(original.layers, after: $0) } ?? original.layers, &problems)
    let masked = try maskedGraph()
    let names = Set(compacted.graph.outputs.map { compacted.graph[$0].name })
    let values = masked.outputs.compactMap { output -> ComparedValue? in
      let name = masked[output].name
      guard names.contains(name), let other = compacted.graph.outputs.first(where: { compacted.graph[$0].name == name })
      else { return nil }
      return ComparedValue(name: name, kind: .output, layer: nil, reference: output, other: other)
    }
    let ours = Set(masked.outputs.map { masked[$0].name })
    // GGUF has no place for a pooler, which llama.cpp does without.
    let isReduced = [original, compacted].contains { $0.format == .gguf }
    for name in ours.subtracting(names).sorted() where !(isReduced && name == "pooler_output") {
      problems.append("output \(name) is missing")
    }
    // Caches are an interface of their own, which a checkpoint does not have.
    for name in names.subtracting(ours).sorted()
    where !name.contains("present") && !(isReduced && name == "pooler_output") {
      problems.append("output \(name) is not one of the original")
    }
    let mapping = receipt == nil ? "equal counts" : "the receipt"
    guard problems.isEmpty else {
      return VerificationReport(
        structure: .init(problems: problems), proof: nil, run: nil, mapping: mapping, asksForProof: false)
    }
    let proof = try conversionProof(receipt, &problems)
    var run: VerificationReport.Run?
    do {
      if runs { run = try convertedRun(masked, values, receipt, isProved: proof?.ok == true) }
    } catch let failure
      as ComparedModelFailure
    {
      problems.append(failure.description)
    }
    return VerificationReport(
      structure: .init(problems: problems), proof: proof, run: run, mapping: mapping, asksForProof: false,
      foldedBiases: receipt?.folds.count ?? 0)
  }

  /// The proof that every tensor is the original's, cut and rounded to the type it is stored in; nil where some is not, or cannot be compared:
  /// then the outputs alone decide.
  private func conversionProof(
    _ receipt: CompactionPlan?, _ problems: inout [String]
  ) throws -> VerificationReport.Proof? {
    let plan =
      receipt
      ?? CompactionPlan(
        layers: map.layers.map { units in
          LayerPlan(
            index: units.index,
            heads: units.heads.map {
              HeadPlan(units: UnitPlan(before: $0.count, kept: Array(0..<$0.count)), groupsBefore: $0.groupCount)
            },
            neurons: units.neurons.map { UnitPlan(before: $0.size, kept: Array(0..<$0.size)) })
        })
    guard let found = try compacted.stored.checkpointTensors(after: nil),
      let expected = try original.stored.checkpointTensors(after: (plan, plan.apply(to: map)))
    else { return nil }
    let tensors = try ConversionProof(expected: expected, found: found, pool: pool, progress: progress)
    if tensors.looksSpoiled, !options.comparesRounded {
      problems.append(
        "\(tensors.exactTensors) of \(tensors.tensors) tensors are the original's, rounded to their type, and "
          + "\(tensors.firstDifferent ?? "one") is not")
    }
    guard tensors.isComplete else { return nil }
    return try prove(plan, TensorProof(paired: tensors.exactTensors, isSame: true, problems: []))
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

  private func convertedRun(
    _ masked: Graph, _ values: [ComparedValue], _ plan: CompactionPlan?, isProved: Bool
  ) throws -> VerificationReport.Run {
    let precision = plan.map(precision) ?? options.precision.computing
    let given = try options.inputs.map { try smallerInputs(TensorFile.read($0)) }
    let inputs = try given ?? RandomInputs.make(for: original, options: options)
    let otherNames = Set(compacted.graph.inputs.map { compacted.graph[$0].name })
    let names = Set(masked.inputs.map { masked[$0].name })
    let comparison = try RunComparison(
      reference: try whole.maskedGraph() ?? masked, other: compacted.graph, values: whole.renamed(values),
      inputs: inputs.filter { names.contains($0.key) },
      otherInputs: inputs.filter { otherNames.contains($0.key) },
      unmasked: isMasked ? (whole.model ?? original).graph : nil,
      precision: precision, pool: pool, progress: progress)
    let weights = [masked, compacted.graph].flatMap { graph in
      graph.initializers.compactMap { graph[$0].initializer }
    }
    let formats = Set(weights.compactMap(\.blockFormat))
    let types = Set(weights.filter { $0.blockFormat == nil }.map(\.storedType).filter(\.isFloatingPoint))
    let row = FormatTolerance.row(for: types, formats: formats, precision: precision)
    guard options.tolerance > 0 || row != nil else {
      throw CompactionError(
        .noTolerance, subject: .option("--tolerance"), expected: "a tolerance for weights of these types",
        found: (types.map(\.name) + formats.map(\.name)).sorted().joined(separator: ", "),
        remedy: "state one with --tolerance")
    }
    let usual = row.map { isProved ? FormatTolerance.provedShare($0) : $0.share } ?? 0
    let share = options.tolerance > 0 ? options.tolerance : max(usual, plan.flatMap(foldTolerance)?.share ?? 0)
    return VerificationReport.Run(
      ok: comparison.comparesOutputs && comparison.isWithin(share), comparison: comparison,
      inputs: RandomInputs.phrase(inputs, options: options) + ", tolerance \(share) of the largest value",
      distanceFromUnmasked: comparison.distanceFromUnmasked)
  }
}
