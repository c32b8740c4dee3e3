import Pollard
import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Standard output for results, standard error for talk.
enum Console {
  /// Writes a result, followed by a newline. A result that cannot be written ends the program with exit code 2.
  static func result(_ text: String) {
    guard let number = write(text + "\n", to: 1) else { return }
    error("standard output: \(String(cString: strerror(number)))")
    exit(2)
  }

  /// Writes a complaint with the program's name.
  static func error(_ text: String) { write("pollard: \(text)\n", to: 2) }

  /// Writes talk, unless it is not wanted.
  static func talk(_ text: String, _ options: GlobalOptions) {
    if !options.quiet { write(text + "\n", to: 2) }
  }

  /// Writes a part of a line of progress.
  static func progress(_ text: String) { write(text, to: 2) }

  /// Whether a descriptor is a terminal.
  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// The error number when not all could be written.
  @discardableResult
  private static func write(_ text: String, to descriptor: Int32) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }
}

private func systemWrite(_ descriptor: Int32, _ base: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
    Glibc.write(descriptor, base, count)
  #elseif canImport(Musl)
    Musl.write(descriptor, base, count)
  #else
    Darwin.write(descriptor, base, count)
  #endif
}

/// A reader that goes away, such as `head`, is not an error.
func ignoreClosedPipes() { signal(SIGPIPE, SIG_DFL) }
