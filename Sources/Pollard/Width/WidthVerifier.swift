import GraphCompaction
import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage

/// Verifies a model from which residual channels were removed.
///
/// The rewrite is worked out again from the original: every tensor must be, byte for byte, what it gives, and each missing channel must be dead
/// in the original or declared off. The run compares with the masked original, whose norms run over all channels, in double precision and within
/// a tolerance, because multiplied weights are rounded to their type.
struct WidthVerifier {
  let original: Model
  let compacted: Model
  let claimed: WidthPlan
  let masks: MaskSource?
  let options: VerificationOptions
  let pool: ThreadPool
  let progress: VerificationProgress.Handler?

  func report() throws -> VerificationReport {
    var problems: [String] = []
    let width: HiddenWidth
    do { width = try HiddenWidth(original.stored.dimensionMap()) } catch let error as CompactionError {
      return nothing([error.description])
    }
    guard original.stored.rewritable != nil, claimed.units.before == width.size, !claimed.units.kept.isEmpty else {
      return nothing([
        "the receipt speaks of \(claimed.units.before) hidden channels, the original has \(width.size)"
      ])
    }
    var channels: MaskTable.Channels?
    if case .file(let path)? = masks { channels = try original.channelMask(file: path) }
    let declared = try channels?.removed(of: width.size) ?? []
    let norm = options.hiddenNorm ?? channels?.norm ?? .all
    if claimed.norm != norm {
      problems.append(
        "norms run over \(claimed.norm == .kept ? "the kept" : "all") channels; --hidden-norm \(claimed.norm.rawValue) says "
          + "that this is wanted")
    }
    let narrow = try original.narrowed(
      by: WidthPlan(units: claimed.units, norm: norm, rewrite: .none), width, silencing: declared)
    var verifier = try Verifier(
      original: narrow, compacted: compacted, masks: masks, options: options, pool: pool)
    verifier.progress = progress
    // A model whose norms run over the kept channels is the narrow one by definition.
    verifier.runs = norm == .kept
    var report = try verifier.report()
    let rewrite = narrow.narrowing?.plan.rewrite ?? .none
    report.rescaled = norm == .all
    if rewrite != claimed.rewrite {
      problems.append("the receipt names the rewrite \(claimed.rewrite.rawValue), and it is \(rewrite.rawValue)")
    }
    report.structure = .init(problems: problems + report.structure.problems)
    try prove(&report.proof, width, declared)
    guard norm == .all, report.structure.ok || report.proof != nil else { return report }
    do {
      report.run = try run(narrow, width, declared)
    } catch let failure as ComparedModelFailure {
      report.structure = .init(problems: report.structure.problems + [failure.description])
    }
    return report
  }

  private func nothing(_ problems: [String]) -> VerificationReport {
    VerificationReport(structure: .init(problems: problems), proof: nil, run: nil, mapping: "none")
  }

  /// Every missing channel and every channel of fill is dead or declared.
  private func prove(
    _ proof: inout VerificationReport.Proof?, _ width: HiddenWidth, _ declared: Set<Int>
  ) throws {
    guard var found = proof else { return }
    let gone = claimed.missing
    let fill = Set(claimed.units.padded)
    let verdicts = try width.verdicts(in: original.graph, pool: pool)
    let notFinite = try width.notFinite(among: gone.union(fill).sorted(), in: original.graph, pool: pool)
    found.removedUnits += gone.count
    found.padded += fill.count
    for channel in gone.union(fill).sorted() {
      let isFill = fill.contains(channel)
      if verdicts.dead.contains(channel) {
        if !isFill { found.dead += 1 }
      } else if declared.contains(channel), !notFinite.contains(channel) {
        if !isFill { found.declared += 1 }
      } else {
        found.unproven += 1
        if found.problems.count < 64 {
          found.problems.append(
            notFinite.contains(channel)
              ? "hidden channel \(channel) is read by weights that are not finite, so zeros prove nothing about it"
              : "hidden channel \(channel) is gone but something writes it, and it is not declared off")
        }
      }
    }
    if let channel = declared.subtracting(gone).subtracting(fill).min() {
      found.problems.append("hidden channel \(channel) is declared off and still there")
    }
    found.ok = found.problems.isEmpty && found.unproven == 0
    proof = found
  }

  /// The masked original with all its channels beside the compacted model.
  private func run(_ narrow: Model, _ width: HiddenWidth, _ declared: Set<Int>) throws -> VerificationReport.Run? {
    let whole = try Verifier(original: original, compacted: compacted, masks: masks, options: options, pool: pool)
    let masked = width.silencing(declared, in: try whole.maskedGraph())
    var small = compacted.graph
    var values: [ComparedValue] = []
    func compare(_ name: String, _ kind: ComparedValue.Kind, _ layer: Int?, _ value: ValueID, _ other: ValueID) {
      let carries = width.carries(value) && claimed.units.after < width.size
      let axis = masked[value].type?.shape.map { $0.count - 1 }
      values.append(
        ComparedValue(
          name: name, kind: kind, layer: layer, reference: value, other: other, axis: carries ? axis : nil,
          positions: carries ? claimed.units.kept : nil))
    }
    let factors = narrow.narrowing?.tapFactors ?? [:]
    let taps = Dictionary(small.taps.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    for (index, tap) in masked.taps.enumerated() {
      guard let other = taps[tap.name] else { continue }
      let scaled = factors[tap.name].map { small.addProduct(of: other, by: Float($0)) } ?? other
      compare(tap.name, .state, index > 0 ? index - 1 : nil, tap.value, scaled)
    }
    for output in masked.outputs {
      let name = masked[output].name
      if let other = small.outputs.first(where: { small[$0].name == name }) {
        compare(name, .output, nil, output, other)
      }
    }
    guard values.contains(where: { $0.kind == .output }) else { return nil }
    let inputs = try options.inputs.map(TensorFile.read) ?? RandomInputs.make(for: original, options: options)
    let names = [masked, small].map { graph in Set(graph.inputs.map { graph[$0].name }) }
    let comparison = try RunComparison(
      reference: masked, other: small, values: values, inputs: inputs.filter { names[0].contains($0.key) },
      otherInputs: inputs.filter { names[1].contains($0.key) },
      unmasked: whole.isMasked || !declared.isEmpty ? original.graph : nil, precision: .double, pool: pool,
      progress: progress)
    guard comparison.comparesOutputs else { return nil }
    let weights = [masked, small].flatMap { graph in graph.initializers.compactMap { graph[$0].initializer } }
    let row = FormatTolerance.rescaledRow(for: Set(weights.map(\.storedType)))
    let share = options.tolerance ?? row.share
    return VerificationReport.Run(
      ok: comparison.isWithin(share), comparison: comparison,
      inputs: RandomInputs.phrase(inputs, options: options) + ", tolerance \(share) of the largest value",
      distanceFromUnmasked: comparison.distanceFromUnmasked)
  }
}

extension Graph {
  /// Adds a node that multiplies a value by a number, and gives its result.
  fileprivate mutating func addProduct(of value: ValueID, by factor: Float) -> ValueID {
    let base = "\(self[value].name) (whole width)"
    let number = addValue(
      Value(name: "\(base) factor", type: ValueType(.f32, []), initializer: .floats([factor], shape: [])))
    let result = addValue(Value(name: base, type: self[value].type))
    append(Node(OperatorName("Mul"), name: base, inputs: [value, number], outputs: [result], attributes: [:]))
    return result
  }
}
