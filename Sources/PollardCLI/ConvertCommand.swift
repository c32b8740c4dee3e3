import ArgumentParser
import Pollard

/// `pollard convert`: the same model in another type, format or sharding.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Write a model in another format, element type or sharding.")

  @Argument(help: "The model.")
  var model: String

  @Argument(help: "The directory, .gguf or .onnx file to write; must not exist unless --force.")
  var output: String

  @Option(
    name: .long, help: "Output format: safetensors, gguf or onnx (default: by the output's name, else the input's).")
  var to: String?

  @Option(
    name: .long,
    help:
      "Type of the weights: f32, f16, bf16; for GGUF also q8_0, q4_0, q4_1, q5_0, q5_1, q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k (default: as they are)."
  )
  var type: String?

  @Option(name: .customLong("max-shard-size"), help: "Split weights into shards of at most this size, such as 5GB.")
  var maxShardSize: String?

  @Option(name: .long, help: "ONNX operator set to write.")
  var opset: Int?

  @Flag(name: .long, help: "Replace the output directory if it exists.")
  var force = false

  @OptionGroup var scores: ScoreOptions

  @OptionGroup var global: GlobalOptions

  func run() throws {
    let format = try OutputFormat.choose(to, output: output, verb: "convert")
    let weightType = try type.map { name in
      guard let found = WeightType(name: name) else {
        throw UsageError(
          description: "--type takes \(WeightType.allCases.map(\.rawValue).joined(separator: ", ")), not \(name)")
      }
      return found
    }
    let shardSize = try maxShardSize.map { text in
      guard let size = ShardSize(text) else {
        throw UsageError(description: "--max-shard-size takes a size such as 5GB, not \(text)")
      }
      return size
    }
    let model = try Model(at: model, scores: scores.request())
    let options = WriteOptions(format: format, opset: opset, maxShardSize: shardSize, replacing: force)
    let report = try model.convert(
      to: output, type: weightType, options: options, pool: global.pool)
    global.print(report)
  }
}
