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

  @Option(name: .long, help: "How units are scored: l1, l2, activation, ablation or random.")
  var importance: String = "l2"

  @Option(name: .long, help: "Weights that count for l1 and l2: output, those that read a unit, or all of it.")
  var slices: String = "output"

  @Option(name: .long, help: "How activation measures what a unit adds: l1 or l2.")
  var norm: String = "l2"

  @Option(name: .long, help: "Rank units within each layer, or over the whole model: layer or global.")
  var scope: String = "layer"

  @Option(
    name: .customLong("neuron-group"),
    help: "Neurons that are scored and go together (default: 1, and 64 for ablation).")
  var neuronGroup: Int?

  @Flag(name: .customLong("whole-layers"), help: "Let a layer lose all its heads or neurons; else one stays.")
  var wholeLayers = false

  @Option(name: .long, help: "Inputs for activation and ablation (safetensors); random tokens otherwise.")
  var inputs: String?

  @Option(name: .long, help: "Sequences of random tokens.")
  var batch: Int = 8

  @Option(name: .long, help: "Tokens per sequence.")
  var length: Int = 32

  @Option(name: .long, help: "Seed for random scores and random tokens.")
  var seed: UInt64 = 0

  @Option(name: .long, help: ArgumentHelp("Write the scores too (.safetensors).", valueName: "file"))
  var scores: String?

  @Option(name: .long, help: "Zero this share of the single weights of each layer's matrices instead of units.")
  var sparsity: String?

  @Option(name: .long, help: "Keep N of every M consecutive weights, such as 2:4, instead of removing units.")
  var pattern: String?

  @Flag(name: .long, help: "Replace the mask file if it exists.")
  var force = false

  @OptionGroup var stored: ScoreOptions

  @OptionGroup var global: GlobalOptions

  func run() throws {
    guard let scope = RankingScope(rawValue: scope) else {
      throw UsageError(description: "--scope takes layer or global, not \(scope)")
    }
    if sparsity != nil || pattern != nil { return try maskWeights(scope) }
    guard heads != nil || ffn != nil else {
      throw UsageError(description: "mask needs --heads, --ffn or both, or one of --sparsity and --pattern")
    }
    guard let metric = ImportanceMetric(rawValue: importance) else {
      throw UsageError(
        description: "--importance takes l1, l2, activation, ablation or random, not \(importance)")
    }
    guard let slices = WeightSlices(rawValue: slices) else {
      throw UsageError(description: "--slices takes output or all, not \(slices)")
    }
    guard let norm = ContributionNorm(rawValue: norm) else {
      throw UsageError(description: "--norm takes l1 or l2, not \(norm)")
    }
    if let neuronGroup, !(1...1 << 24).contains(neuronGroup) {
      throw UsageError(description: "--neuron-group takes a number of at least 1")
    }
    guard (1...65536).contains(batch), (1...1 << 20).contains(length) else {
      throw UsageError(description: "--batch and --length take numbers of at least 1")
    }
    if inputs != nil, !metric.needsInputs {
      throw UsageError(description: "--inputs is read by --importance activation and ablation, not by \(importance)")
    }
    let request = MaskRequest(
      heads: try heads.map { try amount($0, "--heads") }, feedForward: try ffn.map { try amount($0, "--ffn") },
      metric: metric, slices: slices, norm: norm, scope: scope, seed: seed, neuronGroup: neuronGroup,
      emptiesLayers: wholeLayers, inputs: inputs, batch: batch, length: length)
    let report = try Model(at: model, scores: stored.request()).makeMask(
      request, to: output, scores: scores, replacing: force, pool: global.pool,
      progress: { Console.talk($0, global) })
    global.print(report)
  }

  private func maskWeights(_ scope: RankingScope) throws {
    guard heads == nil, ffn == nil, scores == nil, sparsity == nil || pattern == nil else {
      throw UsageError(
        description:
          "--sparsity and --pattern mask single weights; each stands alone, without --heads, --ffn and --scores")
    }
    let rule: WeightRule
    if let sparsity {
      guard sparsity.hasSuffix("%"), case .share(let share)? = UnitAmount(sparsity) else {
        throw UsageError(description: "--sparsity takes a share such as 50% (0 to 100), not \(sparsity)")
      }
      rule = .magnitude(share, scope)
    } else {
      guard let found = WeightRule(pattern: pattern ?? "") else {
        throw UsageError(description: "--pattern takes N:M such as 2:4, N below M, M up to 256, not \(pattern ?? "")")
      }
      rule = found
    }
    global.print(
      try Model(at: model, scores: stored.request()).makeWeightMask(
        rule, to: output, replacing: force, pool: global.pool))
  }

  private func amount(_ text: String, _ option: String) throws -> UnitAmount {
    guard let amount = UnitAmount(text) else {
      throw UsageError(description: "\(option) takes a share such as 25% (0 to 100) or a number, not \(text)")
    }
    return amount
  }
}
