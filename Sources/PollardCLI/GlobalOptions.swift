import ArgumentParser
import Pollard
import PollardBase

/// The options every verb takes.
struct GlobalOptions: ParsableArguments {
  @Flag(name: .long, help: "Print one JSON document on standard output.")
  var json = false

  @Flag(name: .long, help: "Print results only, no talk or progress.")
  var quiet = false

  @Flag(name: .customLong("no-color"), help: "Never colour the output.")
  var noColor = false

  @Option(name: .long, help: "Number of threads (default: all cores).")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes a number from 1 to 1024.") }
  }

  /// The threads to work with.
  var pool: ThreadPool { ThreadPool(threadCount: threads ?? availableProcessorCount()) }

  /// Prints a report as JSON or as text.
  func print(_ report: some Report) {
    Console.result(json ? report.json.serialized(.pretty, strings: .unicode) : report.text)
  }
}
