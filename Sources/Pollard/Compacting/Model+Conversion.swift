import PollardBase

/// What a conversion wrote.
public struct ConversionReport: Report {
  /// The output's path; of a split file, its first part's.
  public var output: String
  /// Bytes of the weight files before and after.
  public var bytes: (before: Int, after: Int)
  /// Weight files in other formats that were not carried over.
  public var leftBehind: [String]
  /// Things worth knowing, in sentences.
  public var notes: [String] = []

  /// The document that `--json` prints.
  public var json: JSONValue {
    [
      "schema": reportSchema, "output": JSONValue(output),
      "bytes": ["before": JSONValue(bytes.before), "after": JSONValue(bytes.after)],
      "left_behind": .array(leftBehind.map { JSONValue($0) }), "notes": .array(notes.map { JSONValue($0) }),
    ]
  }

  /// The text that people read.
  public var text: String {
    (["  bytes  \(humanBytes(bytes.before)) -> \(humanBytes(bytes.after)) (\(change(bytes.before, bytes.after)))"]
      + leftBehind.map { "  not carried over: \(escapedForTerminal($0))" }
      + notes.map { "  note: " + escapedForTerminal($0) } + ["wrote \(escapedForTerminal(output))"])
      .joined(separator: "\n")
  }
}

extension Model {
  /// Writes the same model in another format, type or sharding. Floating-point parameters are rounded to nearest, ties to even; packed types
  /// are rounded as GGML's reference quantisers do it.
  ///
  /// - Throws: `CompactionError` for what the format cannot hold, `FormatError` from reading or writing; nothing is left behind then.
  @discardableResult
  public func convert(
    to output: String, type: WeightType?, options: WriteOptions = WriteOptions(), pool: ThreadPool = .allProcessors
  ) throws -> ConversionReport {
    try stored.checkIntegrity(pool: pool)
    let staged = try stored.stage(
      StagingRequest(
        earlierReceipt: stored.receipt, type: type, format: options.format ?? format, output: output,
        inputs: inputPaths, options: options, pool: pool))
    try staged.commit()
    return ConversionReport(
      output: staged.published(as: output), bytes: (stored.byteCount, staged.weightBytes),
      leftBehind: staged.leftBehind, notes: staged.notes)
  }
}
