import PollardBase

/// A folder for one test, removed with everything in it when the value goes away.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = "/tmp/pollard-test-\(UInt64.random(in: .min ... .max))"
    try Directories.create(path)
  }

  deinit { try? Directories.remove(path) }

  func callAsFunction(_ name: String) -> String { Paths.join(path, name) }

  func write(_ name: String, _ text: String) throws {
    try Directories.create(Paths.parent(self(name)))
    let file = try AtomicFile(path: self(name), replacing: true)
    try file.file.write(Array(text.utf8))
    try file.commit()
  }

  func read(_ name: String) throws -> String {
    let source = try FileSource(path: self(name))
    return String(decoding: try source.bytes(0..<source.size), as: UTF8.self)
  }

  /// A folder copied from elsewhere, with its subfolders.
  func copy(_ source: String, as name: String) throws -> String {
    try Files.copy(source, to: self(name))
    return self(name)
  }

  var names: [String] { get throws { try Directories.names(in: path) } }
}

/// The code of the error that a body throws, or nil when it throws none.
func codeThrown(by body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch let error as FormatError {
    return error.code.name
  } catch let error as CompactionError {
    return error.code.name
  } catch let error as GraphError {
    return error.code.name
  } catch {
    return "\(error)"
  }
}
