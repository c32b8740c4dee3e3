import ArgumentParser
import Pollard

/// `pollard mask`: score units and mask the least important.
struct MaskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mask", abstract: "Score heads and neurons and write a mask that removes the least important.")

  @Argument(help: "The model.")
  var model: String

  @Argument(help: "The mask file to write (.safetensors).")
  var output: String

  @Option(name: .long, help: "Heads to remove in each layer: a share such as 25%, or a number.")
  var heads: String?

  @Option(name: .long, help: "Feed-forward neurons to remove in each layer: a share or a number.")
  var ffn: String?

  @Option(name: .long, help: "How units are scored: l1, l2 or random.")
  var importance: String = "l2"

  @Option(name: .long, help: "Rank units within each layer, or over the whole model: layer or global.")
  var scope: String = "layer"

  @Option(name: .long, help: "Inputs for activation-based scores.")
  var inputs: String?

  @Option(name: .long, help: "Seed for random scores.")
  var seed: UInt64 = 0

  @Flag(name: .long, help: "Replace the mask file if it exists.")
  var force = false

  @OptionGroup var global: GlobalOptions

  func run() throws {
    guard heads != nil || ffn != nil else { throw UsageError(description: "mask needs --heads, --ffn or both") }
    if ["activation", "ablation"].contains(importance) || inputs != nil {
      throw UsageError(
        description:
          "mask --importance \(inputs != nil ? "with --inputs" : importance) does not work yet; use l1, l2 or random")
    }
    guard let metric = ImportanceMetric(rawValue: importance) else {
      throw UsageError(description: "--importance takes l1, l2 or random, not \(importance)")
    }
    guard let scope = RankingScope(rawValue: scope) else {
      throw UsageError(description: "--scope takes layer or global, not \(scope)")
    }
    let request = MaskRequest(
      heads: try heads.map { try amount($0, "--heads") }, feedForward: try ffn.map { try amount($0, "--ffn") },
      metric: metric, scope: scope, seed: seed)
    let report = try Model(at: model).makeMask(request, to: output, replacing: force, pool: global.pool)
    global.print(report)
  }

  private func amount(_ text: String, _ option: String) throws -> UnitAmount {
    guard let amount = UnitAmount(text) else {
      throw UsageError(description: "\(option) takes a share such as 25% (0 to 100) or a number, not \(text)")
    }
    return amount
  }
}
