import ArgumentParser
import Pollard

/// `pollard run`: evaluate a model on given inputs.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Evaluate a model on given inputs.")

  @Argument(help: "The model.")
  var model: String

  @Option(name: .long, help: "Inputs by name (safetensors, npz or pt).")
  var inputs: String

  @Option(name: .long, help: "Where the outputs go (.safetensors or .npz).")
  var outputs: String?

  @Flag(name: .customLong("all-layers"), help: "Also write the hidden state after each layer.")
  var allLayers = false

  @Option(name: .customLong("repeat"), help: "Run this many times and report the time of each.")
  var repeatCount: Int?

  @Option(name: .long, help: "Arithmetic of the run, f32 or f64; outputs have the same type.")
  var precision: String = "f32"

  @Flag(name: .long, help: "Replace the output file if it exists.")
  var force = false

  @OptionGroup var scores: ScoreOptions

  @OptionGroup var global: GlobalOptions

  func run() throws {
    guard repeatCount ?? 1 >= 1 else { throw UsageError(description: "--repeat takes a number of at least 1") }
    guard outputs != nil || repeatCount != nil else {
      throw UsageError(description: "run needs --outputs, or --repeat to time it")
    }
    let precision = try runPrecision(precision)
    let report = try Model(at: model, scores: scores.request()).run(
      inputs: inputs, outputs: outputs, allLayers: allLayers, repeating: repeatCount ?? 1, precision: precision,
      replacing: force, pool: global.pool)
    global.print(report)
  }
}
