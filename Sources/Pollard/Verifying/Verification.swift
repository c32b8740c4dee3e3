import ModelArchitectures
import ModelVerification
import PollardBase

/// The verdict of a verification, for people and for programs.
public struct Verification: Report {
  /// The legs.
  public var report: VerificationReport
  /// The original's path.
  public var original: String
  /// The compacted model's path.
  public var compacted: String
  /// The tokens that the verdict is about, where the compacted model does not have all of them.
  public var keptTokens: KeptTokens?

  /// Whether the two are the same function.
  public var equal: Bool { report.equal }
  /// Whether every compared number is equal; nil when nothing ran.
  public var bitIdentical: Bool? { report.bitIdentical }

  /// The first difference, by name, in the order structure, proof, run.
  public var firstDifference: String? {
    report.structure.problems.first ?? report.run?.comparison.firstDifference ?? report.proof?.problems.first
  }

  /// The document that `--json` prints.
  public var json: JSONValue {
    guard let keptTokens else { return document }
    return document.settingKey(
      "vocabulary",
      to: ["before": JSONValue(keptTokens.before), "kept": JSONValue(keptTokens.count)])
  }

  private var document: JSONValue {
    [
      "schema": reportSchema, "equal": JSONValue(equal), "bit_identical": bitIdentical.map { JSONValue($0) } ?? .null,
      "max_abs": report.run.map { number($0.comparison.maximumAbsolute) } ?? .null,
      "max_ulp": report.run.map { JSONValue(Int(clamping: $0.comparison.maximumULP)) } ?? .null,
      "first_difference": firstDifference.map { JSONValue($0) } ?? .null, "mapping": JSONValue(report.mapping),
      "structure": ["ok": JSONValue(report.structure.ok), "problems": strings(report.structure.problems)],
      "proof": report.proof.map(json) ?? .null, "run": report.run.map(json) ?? .null,
      "rounded_tensors": report.roundedTensors.map { JSONValue($0) } ?? .null, "notes": strings(report.notes),
    ]
  }

  private func json(_ proof: VerificationReport.Proof) -> JSONValue {
    [
      "ok": JSONValue(proof.ok), "kept_tensors": JSONValue(proof.keptTensors),
      "removed_units": JSONValue(proof.removedUnits),
      "dead": JSONValue(proof.dead), "declared": JSONValue(proof.declared), "constant": JSONValue(proof.constant),
      "folded": JSONValue(proof.folded), "padded": JSONValue(proof.padded), "unproven": JSONValue(proof.unproven),
      "dead_layers": .array(proof.deadLayers.map { JSONValue($0) }),
      "dropped_layers": .array(proof.droppedLayers.map { JSONValue($0) }), "dead_parts": JSONValue(proof.deadParts),
      "problems": strings(proof.problems),
    ]
  }

  private func json(_ run: VerificationReport.Run) -> JSONValue {
    let comparison = run.comparison
    var layers: [JSONValue] = []
    for layer in Set(comparison.values.compactMap(\.value.layer)).sorted() {
      let values = comparison.values.filter { $0.value.layer == layer }
      layers.append([
        "index": JSONValue(layer), "max_abs": number(values.map(\.maximumAbsolute).max() ?? 0),
        "max_ulp": JSONValue(Int(clamping: values.map(\.maximumULP).max() ?? 0)),
        "differing": JSONValue(values.reduce(0) { $0 + $1.differing }),
      ])
    }
    let outputs: [JSONValue] = comparison.values.filter { $0.value.kind == .output }.map { value in
      [
        "name": JSONValue(value.value.name), "max_abs": number(value.maximumAbsolute),
        "max_ulp": JSONValue(Int(clamping: value.maximumULP)), "cosine": number(value.cosine),
        "sign_differences": JSONValue(value.signDifferences),
      ]
    }
    return [
      "ok": JSONValue(run.ok), "inputs": JSONValue(run.inputs),
      "precision": JSONValue(comparison.precision == .double ? "f64" : "f32"), "layers": .array(layers),
      "outputs": .array(outputs),
      "top1_agreement": comparison.topAgreement.map(number) ?? .null,
      "divergence": comparison.divergence.map(json) ?? .null,
      "distance_from_unmasked": run.distanceFromUnmasked.map(number) ?? .null,
    ]
  }

  private func json(_ divergence: Divergence) -> JSONValue {
    [
      "node": JSONValue(divergence.node), "operator": JSONValue(divergence.op), "value": JSONValue(divergence.value),
      "weights": strings(divergence.weights), "index": .array(divergence.index.map { JSONValue($0) }),
      "other_index": .array(divergence.otherIndex.map { JSONValue($0) }), "reference": number(divergence.reference),
      "other": number(divergence.other), "differing": JSONValue(divergence.differing),
    ]
  }

  private func strings(_ list: [String]) -> JSONValue { .array(list.map { JSONValue($0) }) }

  private func number(_ value: Double) -> JSONValue { value.isFinite ? JSONValue(value) : .null }

  /// The text that people read.
  public var text: String {
    var lines = [equal ? equalSentence : "NOT equal"]
    lines.append("  structure  \(report.structure.ok ? "ok" : "FAIL")")
    if let proof = report.proof {
      lines.append(
        "  proof      \(verdict(proof.ok))  \(proof.keptTensors) tensors \(isRounded ? "rounded, " : "")byte for byte; \(proof.removedUnits) units removed: "
          + "\(proof.dead) dead, \(proof.declared) declared\(proof.folded > 0 ? ", \(proof.folded) folded" : ""), "
          + "\(proof.unproven) unproven; \(proof.padded) fill (mapping from \(report.mapping))"
      )
      if let line = layerLine(proof) { lines.append("             " + line) }
    } else {
      lines.append("  proof      not applied")
    }
    if let run = report.run {
      let comparison = run.comparison
      let agreement =
        comparison.isBitIdentical && report.foldedBiases == 0
        ? "bit-identical in \(comparison.values.count) compared tensors"
        : report.foldedBiases > 0
          ? "differences of at most \(rounded(comparison.maximumShare * 1e9, 1))e-9 of the largest value"
          : "max |difference| \(comparison.maximumAbsolute), \(comparison.maximumULP) ULP"
      let arithmetic = comparison.precision == .double ? ", in double precision" : ""
      lines.append("  run        \(verdict(run.ok))  \(agreement), \(run.inputs)\(arithmetic)")
      if let distance = run.distanceFromUnmasked {
        lines.append("             the mask itself moves the outputs by \(rounded(distance * 100, 2)) % of the largest")
      }
    } else {
      lines.append("  run        not applied")
    }
    if let keptTokens {
      lines.append(
        "  vocabulary \(keptTokens.count) of \(keptTokens.before) tokens: logits of these are compared; the others have none, so what is said may differ"
      )
    }
    if !equal, let firstDifference { lines.append("  first difference: \(firstDifference)") }
    if let divergence = report.run?.comparison.divergence {
      lines.append("  \(escapedForTerminal(divergence.description))")
    }
    for problem in (report.structure.problems + (report.proof?.problems ?? [])).prefix(8) {
      lines.append("  problem: \(problem)")
    }
    lines += report.notes.map { "  note: \(escapedForTerminal($0))" }
    return lines.joined(separator: "\n")
  }

  private var isRounded: Bool { (report.roundedTensors ?? 0) > 0 }

  private var equalSentence: String {
    let folded = report.foldedBiases > 0 ? ", constants folded into biases" : ""
    if report.rescaled {
      return "equal up to rounding: the compacted model is the masked original's function, its norms compensated"
        + folded
    }
    if report.asksForProof {
      let sentence = "the compacted model is the masked original's function\(folded)"
      if isRounded { return "equal: \(sentence), some tensors rounded anew; outputs agree within the tolerance" }
      return report.foldedBiases > 0 ? "equal up to rounding: \(sentence)" : "equal: \(sentence)"
    }
    if report.proof == nil {
      return
        "equal within the tolerance: outputs agree on these inputs; the weights are not proved to be the original's, rounded"
    }
    return isRounded || report.foldedBiases > 0
      ? "equal: every weight is the original's, rounded to its type\(folded); outputs agree within the tolerance"
      : report.run?.comparison.isBitIdentical == true
        ? "equal: every weight is the original's, and the outputs are the same bits"
        : "equal: every weight is the original's; outputs agree within the tolerance"
  }

  private func layerLine(_ proof: VerificationReport.Proof) -> String? {
    var parts: [String] = []
    if let first = proof.deadLayers.first {
      parts.append(
        proof.deadLayers.count == 1
          ? "layer \(first) is gone and adds nothing"
          : "layers \(humanIndices(proof.deadLayers)) are gone and add nothing")
    }
    if proof.deadParts > 0, proof.deadLayers.isEmpty {
      parts.append(
        "\(proof.deadParts) part\(proof.deadParts == 1 ? " of a layer is gone and adds" : "s of layers are gone and add") nothing"
      )
    }
    if !proof.droppedLayers.isEmpty { parts.append("layers \(humanIndices(proof.droppedLayers)) dropped as told") }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  private func verdict(_ ok: Bool) -> String { ok ? "ok  " : "FAIL" }

  /// Writes the verdict as a JUnit report, one test for each leg.
  ///
  /// - Throws: `FormatError` when the file cannot be written.
  public func writeJUnit(to path: String) throws {
    let legs: [(String, Bool?, [String])] = [
      ("structure", report.structure.ok, report.structure.problems),
      ("proof", report.proof?.ok, report.proof?.problems ?? []),
      ("run", report.run?.ok, [report.run?.comparison.firstDifference].compactMap { $0 }),
    ]
    var lines = [#"<?xml version="1.0" encoding="UTF-8"?>"#]
    lines.append(
      "<testsuite name=\"pollard verify\" tests=\"3\" failures=\"\(legs.count { $0.1 == false })\" skipped=\"\(legs.count { $0.1 == nil })\">"
    )
    for (name, ok, problems) in legs {
      let inner =
        ok == nil ? "<skipped/>" : ok == false ? "<failure>\(problems.map(xml).joined(separator: "\n"))</failure>" : ""
      lines.append("  <testcase classname=\"\(xml(compacted))\" name=\"\(name)\">\(inner)</testcase>")
    }
    lines.append("</testsuite>")
    try Self.requireReport(path)
    let file = try AtomicFile(path: path, replacing: true)
    try file.file.write(Array((lines.joined(separator: "\n") + "\n").utf8))
    try file.commit()
  }

  /// A report may replace an earlier one, and nothing else.
  private static func requireReport(_ path: String) throws(FormatError) {
    guard Directories.kind(of: path) == .file else { return }
    let source = try FileSource(path: path)
    let start = Array("<?xml".utf8)
    guard source.size >= start.count, try source.bytes(0..<start.count) == start else {
      throw FormatError(
        .outputExists, file: path, expected: "a report of an earlier run or nothing", found: "another file",
        remedy: "choose another name for the report")
    }
  }

  private func xml(_ text: String) -> String {
    escapedForTerminal(text).reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
  }
}
