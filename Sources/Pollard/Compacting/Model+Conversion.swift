import PollardBase
import TensorStorage

/// What a conversion wrote.
public struct ConversionReport: Report {
  /// The output's path.
  public var output: String
  /// Bytes of the weight files before and after.
  public var bytes: (before: Int, after: Int)
  /// Weight files in other formats that were not carried over.
  public var leftBehind: [String]

  public var json: JSONValue {
    [
      "schema": reportSchema, "output": JSONValue(output),
      "bytes": ["before": JSONValue(bytes.before), "after": JSONValue(bytes.after)],
      "left_behind": .array(leftBehind.map { JSONValue($0) }),
    ]
  }

  public var text: String {
    (["  bytes  \(humanBytes(bytes.before)) -> \(humanBytes(bytes.after)) (\(change(bytes.before, bytes.after)))"]
      + leftBehind.map { "  not carried over: \(escapedForTerminal($0))" } + ["wrote \(escapedForTerminal(output))"])
      .joined(separator: "\n")
  }
}

extension Model {
  /// Writes the same model in another element type or sharding. Floating-point parameters are rounded to nearest, ties to even.
  ///
  /// - Throws: `FormatError` from reading or writing; nothing is left behind then.
  @discardableResult
  public func convert(
    to output: String, type: ElementType?, options: WriteOptions = WriteOptions(), pool: ThreadPool = .allProcessors
  ) throws -> ConversionReport {
    let exported = try imported.exported()
    let buffers = Set(imported.passedThrough.filter { $0.reason == .buffer }.map(\.name))
    let tensors = exported.tensors.map { tensor in
      let converts = tensor.weight.type.isFloatingPoint && !buffers.contains(tensor.name)
      return (name: tensor.name, weight: type.flatMap { converts ? tensor.weight.cast(to: $0) : nil } ?? tensor.weight)
    }
    let names: [ElementType: String] = [.f32: "float32", .f16: "float16", .bf16: "bfloat16"]
    var config = exported.config
    if let name = type.flatMap({ names[$0] }) {
      for key in ["torch_dtype", "dtype"] where config[key] != nil {
        config = config.settingKey(key, to: JSONValue(name))
      }
    }
    let directory = try AtomicDirectory(
      path: output, replacing: options.replacing, inputs: [folder.checkpoint.location.folder])
    let writer = CheckpointWriter(
      source: folder.checkpoint, tensors: tensors, configuration: configurationBytes(config), extraFiles: [],
      options: options)
    let written = try writer.write(to: directory, pool: pool)
    try directory.commit()
    return ConversionReport(
      output: output, bytes: (folder.checkpoint.files.reduce(0) { $0 + $1.source.size }, written.weightBytes),
      leftBehind: written.leftBehind)
  }
}
