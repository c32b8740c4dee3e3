import ArgumentParser

/// `pollard diff`: two models side by side.
struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Compare two models' structure, configuration and tensors (not working yet).")

  @Argument(help: "One model.")
  var first: String

  @Argument(help: "The other model.")
  var second: String

  @OptionGroup var global: GlobalOptions

  func run() throws { throw UsageError(description: "diff does not work yet; compare two runs of inspect --json") }
}
