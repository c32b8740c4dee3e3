import Foundation
import PollardBase
import Testing

/// The folder of checkpoints that transformers wrote.
let golden = Paths.join(repository, "golden")

private let repository = Paths.parent(Paths.parent(Paths.parent(Paths.parent(#filePath))))

/// What a run of the tool left.
struct Outcome {
  var status: Int32
  var output: String
  var errors: String

  /// The document on standard output.
  func json() throws -> JSONValue { try JSONValue(parsing: Array(output.utf8)) }
}

/// A fresh folder in which the real binary runs; removed with everything in it when the value goes away.
final class Workplace {
  let path: String

  init() throws {
    path = "/tmp/pollard-test-\(UInt64.random(in: .min ... .max))"
    try Directories.create(path)
  }

  deinit { try? Directories.remove(path) }

  func callAsFunction(_ name: String) -> String { Paths.join(path, name) }

  /// Runs the tool in this folder.
  func pollard(_ arguments: String...) throws -> Outcome { try run(Tool.path(), arguments) }

  /// Runs a shell command in this folder, with the tool as `$POLLARD`.
  func shell(_ command: String) throws -> Outcome { try run("/bin/sh", ["-c", command]) }

  private func run(_ program: String, _ arguments: [String]) throws -> Outcome {
    let logs = "/tmp/pollard-test-\(UInt64.random(in: .min ... .max))"
    try Directories.create(logs)
    defer { try? Directories.remove(logs) }
    let streams = try ["out", "err"].map { name in
      FileManager.default.createFile(atPath: Paths.join(logs, name), contents: nil)
        ? try FileHandle(forWritingTo: URL(fileURLWithPath: Paths.join(logs, name))) : FileHandle.nullDevice
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: path)
    process.environment = [
      "PATH": "/usr/bin:/bin", "COLUMNS": "100", "HOME": path, "POLLARD": try Tool.path(), "LANG": "C.UTF-8",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = streams[0]
    process.standardError = streams[1]
    try process.run()
    process.waitUntilExit()
    let status = process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus
    return Outcome(
      status: status, output: try Self.text(Paths.join(logs, "out")), errors: try Self.text(Paths.join(logs, "err")))
  }

  /// Copies a golden folder here, so that outputs name it without the place of the repository.
  @discardableResult
  func copy(_ source: String, as name: String) throws -> String {
    try Directories.create(self(name))
    for file in try Directories.names(in: Paths.join(golden, source)) {
      try write(Paths.join(name, file), Self.bytes(Paths.join(Paths.join(golden, source), file)))
    }
    return self(name)
  }

  func copyFile(_ source: String, as name: String) throws { try write(name, Self.bytes(Paths.join(golden, source))) }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = try AtomicFile(path: self(name), replacing: true)
    try file.file.write(bytes)
    try file.commit()
  }

  func bytes(_ name: String) throws -> [UInt8] { try Self.bytes(self(name)) }

  func exists(_ name: String) -> Bool { Directories.kind(of: self(name)) != nil }

  var names: [String] { get throws { try Directories.names(in: path) } }

  static func bytes(_ path: String) throws -> [UInt8] {
    let source = try FileSource(path: path)
    return try source.bytes(0..<source.size)
  }

  static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }
}

enum Tool {
  /// The binary that was built with these tests.
  static func path() throws -> String {
    for argument in CommandLine.arguments where argument.contains(".xctest") {
      var folder = Paths.parent(argument)
      while folder != "/" && folder != "." {
        let candidate = Paths.join(folder, "pollard")
        if Directories.kind(of: candidate) == .file { return Paths.resolved(candidate) ?? candidate }
        folder = Paths.parent(folder)
      }
    }
    throw MissingTool()
  }

  struct MissingTool: Error, CustomStringConvertible {
    let description = "no binary \"pollard\" beside the test bundle; build the whole package"
  }
}

/// Texts the tool must print, kept in `golden/cli`; POLLARD_RECORD=1 writes them anew.
enum Snapshot {
  static func check(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let path = Paths.join(Paths.join(golden, "cli"), name + ".txt")
    if ProcessInfo.processInfo.environment["POLLARD_RECORD"] == "1" {
      try? Directories.create(Paths.parent(path))
      let file = try AtomicFile(path: path, replacing: true)
      try file.file.write(Array(text.utf8))
      try file.commit()
      return
    }
    let expected = (try? Workplace.text(path)) ?? ""
    guard text != expected else { return }
    let (new, old) = (
      text.split(separator: "\n", omittingEmptySubsequences: false),
      expected.split(separator: "\n", omittingEmptySubsequences: false)
    )
    let line = zip(new, old).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(new.count, old.count)
    Issue.record(
      """
      golden/cli/\(name).txt, line \(line + 1):
        expected \(old.indices.contains(line) ? String(old[line]) : "the end")
        found    \(new.indices.contains(line) ? String(new[line]) : "the end")
      POLLARD_RECORD=1 writes the files anew
      """, sourceLocation: sourceLocation)
  }
}
