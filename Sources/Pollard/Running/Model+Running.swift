import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// What a run gave.
public struct RunReport: Report {
  /// The file the outputs were written to, when they were.
  public var output: String?
  /// The outputs' names and extents.
  public var outputs: [(name: String, extents: [Int])]
  /// The time of each evaluation, loading apart, in milliseconds.
  public var milliseconds: [Double]
  /// The time it took to read and pack the weights, in milliseconds.
  public var loadMilliseconds: Double
  /// The number of threads.
  public var threads: Int
  /// The arithmetic.
  public var precision: RunPrecision = .single
  /// Where the time of one more evaluation went, by operator, in milliseconds, the largest first; empty unless the model was
  /// evaluated several times. What a product or convolution is joined with counts to it.
  public var operators: [(name: String, milliseconds: Double)] = []

  /// The document that `--json` prints.
  public var json: JSONValue {
    var document = JSONObject()
    document["schema"] = reportSchema
    document["output"] = output.map { JSONValue($0) } ?? .null
    document["outputs"] = .array(
      outputs.map { ["name": JSONValue($0.name), "shape": .array($0.extents.map { JSONValue($0) })] })
    document["milliseconds"] = .array(milliseconds.map(Self.inMicroseconds))
    document["load_milliseconds"] = Self.inMicroseconds(loadMilliseconds)
    document["threads"] = JSONValue(threads)
    document["precision"] = JSONValue(precision.rawValue)
    if !operators.isEmpty {
      document["operators"] = .array(
        operators.map { ["name": JSONValue($0.name), "milliseconds": Self.inMicroseconds($0.milliseconds)] })
    }
    return .object(document)
  }

  private static func inMicroseconds(_ milliseconds: Double) -> JSONValue {
    JSONValue((milliseconds * 1000).rounded() / 1000)
  }

  /// The text that people read.
  public var text: String {
    var lines = outputs.map { "  \(escapedForTerminal($0.name))  \($0.extents)" }
    let sorted = milliseconds.sorted()
    if let least = sorted.first, let most = sorted.last {
      let median = sorted[sorted.count / 2]
      lines.append(
        sorted.count == 1
          ? "  \(rounded(least, 2)) ms on \(threads) threads"
          : "  \(rounded(median, 2)) ms per run (median of \(sorted.count), \(rounded(least, 2)) to \(rounded(most, 2))) on \(threads) threads"
      )
    }
    if let output { lines.append("wrote \(escapedForTerminal(output))") }
    return lines.joined(separator: "\n")
  }
}

extension Model {
  /// Evaluates the model on inputs of a safetensors, NumPy or PyTorch file; an output that ends in `.npz` is a NumPy archive.
  ///
  /// - Parameters:
  ///   - inputs: tensors named as the graph's inputs; those that can be derived may be left out.
  ///   - outputs: where the results go; nil to time only.
  ///   - allLayers: whether hidden states are written as well, as `hidden_states.<i>`.
  ///   - count: how often the model is evaluated.
  ///   - precision: the arithmetic; in double precision floating-point outputs are F64.
  /// - Throws: `GraphError` for inputs that do not fit and outputs that no file holds, `FormatError` from reading or writing.
  @discardableResult
  public func run(
    inputs: String, outputs: String?, allLayers: Bool = false, repeating count: Int = 1,
    precision: RunPrecision = .single, replacing: Bool = false, pool: ThreadPool = .allProcessors
  ) throws -> RunReport {
    try stored.checkIntegrity(pool: pool)
    let tensors = try TensorFile.read(inputs)
    let clock = ContinuousClock()
    var executor: GraphExecutor?
    let load = try clock.measure { executor = try GraphExecutor(graph, threads: pool, precision: precision.computing) }
    guard let executor else { return RunReport(outputs: [], milliseconds: [], loadMilliseconds: 0, threads: 0) }
    let taps = allLayers ? Set(graph.taps.map(\.name)) : []
    var results: [String: Tensor] = [:]
    var times: [Double] = []
    for _ in 0..<max(1, count) {
      times.append(milliseconds(try clock.measure { results = try executor.run(inputs: tensors, collecting: taps) }))
    }
    let parts = results.keys.sorted().flatMap { results[$0]?.parts(named: $0) ?? [] }
    if let outputs {
      try TensorFile.write(
        parts.map { ($0.name, try TensorFile.weight($0.tensor, named: $0.name)) }, to: outputs, replacing: replacing,
        inputs: [inputs] + inputPaths, pool: pool)
    }
    let profile = count > 1 ? try executor.profile(inputs: tensors) : [:]
    return RunReport(
      output: outputs, outputs: parts.map { ($0.name, $0.tensor.extents) }, milliseconds: times,
      loadMilliseconds: milliseconds(load), threads: pool.threadCount, precision: precision,
      operators: profile.map { ($0, milliseconds($1)) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) })
  }
}

private func milliseconds(_ duration: Duration) -> Double {
  Double(duration.components.seconds) * 1000 + Double(duration.components.attoseconds) / 1e15
}
