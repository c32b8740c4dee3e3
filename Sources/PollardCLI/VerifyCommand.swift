import ArgumentParser
import Pollard

/// `pollard verify`: is the compacted model the same function?
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Prove and test that a compacted model is the masked original's function.")

  @Argument(help: "The original, masked or with --masks.")
  var original: String

  @Argument(help: "The compacted model.")
  var compacted: String

  @Option(name: .long, help: "The masks that declare units off.")
  var masks: String?

  @Option(name: .customLong("drop-layers"), help: "Layers of the original that are meant to be gone, such as 3,7.")
  var dropLayers: String?

  @Option(
    name: .customLong("hidden-norm"), help: "Channels that the masked model's norms are meant to run over: all or kept."
  )
  var hiddenNorm: String?

  @Option(name: .long, help: "Inputs to run (safetensors); random tokens otherwise.")
  var inputs: String?

  @Option(name: .long, help: "Sequences per run.")
  var batch: Int = 2

  @Option(name: .long, help: "Tokens per sequence.")
  var length: Int = 16

  @Option(name: .long, help: "Seed for random tokens.")
  var seed: UInt64 = 0

  @Option(
    name: .long,
    help:
      "Largest difference that still counts as equal, relative to the largest output (default: 0 where nothing is rounded, else by the types)."
  )
  var tolerance: Double?

  @Option(name: .long, help: "Arithmetic of the run, f32 or f64.")
  var precision: String = "f32"

  @Option(name: .long, help: ArgumentHelp("Write a JUnit report.", valueName: "file"))
  var junit: String?

  @OptionGroup var scores: ScoreOptions

  @OptionGroup var global: GlobalOptions

  func run() throws {
    let arithmetic = try runPrecision(precision)
    guard batch >= 1, length >= 1 else {
      throw UsageError(description: "--batch and --length take numbers of at least 1")
    }
    let (tokens, overflows) = batch.multipliedReportingOverflow(by: length)
    guard !overflows, tokens <= 1 << 24 else {
      throw UsageError(description: "--batch times --length is at most 16777216 tokens")
    }
    guard tolerance.map({ $0 >= 0 && $0.isFinite }) ?? true else {
      throw UsageError(description: "--tolerance takes a number of at least 0")
    }
    var options = VerificationOptions(
      inputs: inputs, batch: batch, length: length, seed: seed, tolerance: tolerance, precision: arithmetic)
    options.hiddenNorm = try parsedHiddenNorm(hiddenNorm)
    let line = ProgressLine(global)
    let source = masks.map(MaskSource.file)
    let report = try verify(
      original: Model(at: original, scores: scores.request()).masked(by: source).dropping(
        layers: layerNumbers(dropLayers)),
      compacted: Model(at: compacted, allowingRagged: true), masks: source, options: options,
      pool: global.pool, progress: line.show)
    line.clear()
    if let junit { try report.writeJUnit(to: junit) }
    global.print(report)
    if !report.equal { throw NegativeAnswer() }
  }
}
