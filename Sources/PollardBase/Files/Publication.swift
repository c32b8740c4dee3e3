#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension DiagnosticCode where Domain == FormatDomain {
  /// The output would destroy what is being read.
  public static let outputIsInput = Self("outputIsInput", "the output would overwrite an input")
}

/// The last step of an output: its temporary name becomes its own.
enum Publication {
  /// Refuses an output that exists and may not be replaced, or that is or holds an input.
  static func check(_ output: String, replacing: Bool, inputs: [String]) throws(FormatError) {
    let kind = Directories.kind(of: output, followingLinks: false)
    guard kind != nil else { return }
    let resolvedOutput = Paths.resolved(output)
    for input in inputs {
      guard let resolvedOutput, let resolvedInput = Paths.resolved(input) else { continue }
      let isSame = Directories.identity(of: output) == Directories.identity(of: input)
      if isSame || haveSameBytes(resolvedInput, resolvedOutput) || resolvedInput.hasPrefix(resolvedOutput + "/") {
        throw FormatError(
          .outputIsInput, file: output, found: "the input \(input)", remedy: "choose another output")
      }
    }
    guard replacing else {
      throw FormatError(.outputExists, file: output, remedy: "choose another output, or allow replacing with --force")
    }
    let here = Paths.resolved(".") ?? "/"
    if let resolvedOutput, (here + "/").hasPrefix(resolvedOutput == "/" ? "/" : resolvedOutput + "/") {
      throw FormatError(.outputExists, file: output, found: "the current folder or one above it")
    }
  }

  /// Renames a finished temporary to its final name; with `replacing`, what was there is removed afterwards.
  static func publish(_ temporary: String, as output: String, replacing: Bool) throws(FormatError) {
    switch SystemCalls.renameWithoutReplacing(temporary, output) {
    case 0?: break
    case nil:
      // The system cannot rename without replacing, so a name that appears at this very moment is not noticed.
      if Directories.kind(of: output, followingLinks: false) == nil {
        guard rename(temporary, output) == 0 else { throw writeFailure(output, errno) }
      } else {
        try replace(output, with: temporary, allowed: replacing)
      }
    default:
      guard errno == EEXIST else { throw writeFailure(output, errno) }
      try replace(output, with: temporary, allowed: replacing)
    }
    try Directories.synchronize(Paths.parent(output))
  }

  private static func replace(_ output: String, with temporary: String, allowed: Bool) throws(FormatError) {
    guard allowed else {
      throw FormatError(.outputExists, file: output, remedy: "choose another output, or allow replacing with --force")
    }
    let isDirectory = Directories.kind(of: temporary, followingLinks: false) == .directory
    if !isDirectory, Directories.kind(of: output, followingLinks: false) != .directory {
      guard rename(temporary, output) == 0 else { throw writeFailure(output, errno) }
      return
    }
    if let result = SystemCalls.exchange(temporary, output) {
      guard result == 0 else { throw writeFailure(output, errno) }
      try Directories.remove(temporary)
      return
    }
    let old = Temporaries.path(for: output)
    Temporaries.forget(old)
    guard rename(output, old) == 0 else { throw writeFailure(output, errno) }
    guard rename(temporary, output) == 0 else {
      let number = errno
      _ = rename(old, output)
      throw writeFailure(output, number)
    }
    try Directories.remove(old)
  }
}
