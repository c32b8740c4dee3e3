import Pollard
import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Uses the instruction set that the environment variable `POLLARD_INSTRUCTION_SET` names, for reports of errors.
///
/// - Throws: `UsageError` where this machine does not have it.
func selectInstructionSetOfEnvironment() throws(UsageError) {
  guard let value = getenv("POLLARD_INSTRUCTION_SET") else { return }
  let name = String(cString: value)
  guard name.isEmpty || selectInstructionSet(name) else {
    throw UsageError(
      description: "POLLARD_INSTRUCTION_SET is \(escapedForTerminal(name)), which is none of this machine's: "
        + availableInstructionSets.joined(separator: ", "))
  }
}
