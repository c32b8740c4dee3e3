import ArgumentParser
import Pollard

/// `pollard diff`: two models side by side.
struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compare two models' structure, configuration, tensors and tokenizer, whatever their formats.",
    discussion: "Reads headers only. Exits 0 when nothing differs, 1 when something does.")

  @Argument(help: "One model.")
  var first: String

  @Argument(help: "The other model.")
  var second: String

  @OptionGroup var global: GlobalOptions

  func run() throws {
    let difference = try diff(first, second)
    global.print(difference)
    if !difference.isEmpty { throw NegativeAnswer() }
  }
}
