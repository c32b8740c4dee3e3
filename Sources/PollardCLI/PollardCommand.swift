import ArgumentParser
import Pollard
import PollardBase

/// The command line: `pollard <verb> …`.
@main
struct PollardCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pollard",
    abstract: "Turns masked transformer checkpoints into smaller dense ones and proves them the same function.",
    discussion: """
      Results go to standard output, everything else to standard error. Exit codes: 0 done or equal, 1 the answer is no, \
      2 error, 64 usage.
      """,
    version: pollardVersion,
    subcommands: [
      InspectCommand.self, MaskCommand.self, CompactCommand.self, VerifyCommand.self, RunCommand.self,
      ConvertCommand.self,
      DiffCommand.self,
    ])

  /// Parses the arguments, runs the verb, and maps what it throws to an exit code.
  static func main() {
    ignoreClosedPipes()
    removeOutputsWhenInterrupted()
    do {
      var command = try parseAsRoot()
      try selectInstructionSetOfEnvironment()
      try command.run()
    } catch let answer as NegativeAnswer {
      _ = answer
      Self.exit(withError: ExitCode(1))
    } catch let error as UsageError {
      Console.error(error.description)
      Self.exit(withError: ExitCode(64))
    } catch {
      if Self.exitCode(for: error) == .success || Self.exitCode(for: error) == .validationFailure || error is ExitCode {
        Self.exit(withError: error)
      }
      Temporaries.waitForTheEnd()
      Console.error("\(error)")
      Self.exit(withError: ExitCode(2))
    }
  }
}

/// Thrown when the verb worked and the answer is no: models differ.
struct NegativeAnswer: Error {}

/// Thrown when the request itself makes no sense, or asks for what does not work yet.
struct UsageError: Error, CustomStringConvertible {
  let description: String
}
