import PollardBase
import Synchronization

/// The files beside a model that hold its tensors' data, each opened once.
///
/// A location is a relative path. Once every symbolic link is followed it must lie below the model's folder, or below the
/// folder that the model file itself lies in when its links are followed: caches link both from a snapshot to a store.
public final class ONNXExternalFiles: Sendable {
  /// The folder that locations are relative to.
  public let folder: String
  private let roots: [String]
  private let state = Mutex(State())

  private struct State {
    var byLocation: [ByteString: FileSource] = [:]
    var byIdentity: [FileIdentity: FileSource] = [:]
  }

  /// The files beside a model.
  public init(modelPath: String) {
    folder = Paths.parent(modelPath)
    let roots = [Paths.resolved(folder), Paths.resolved(modelPath).map { Paths.parent($0) }].compactMap { $0 }
    self.roots = roots
  }

  /// The files that have been opened.
  public var openFiles: [FileSource] { state.withLock { Array($0.byIdentity.values) } }

  /// The file and the offset of an external tensor's bytes.
  ///
  /// - Throws: `externalDataMalformed` for entries that make no sense, `externalDataEscapes`, `externalDataMissing`,
  ///   `cannotOpen`; `sizeMismatch` when the length is not `byteCount`, `externalDataOutsideFile`.
  func place(of tensor: ONNXTensor, byteCount: Int) throws(FormatError) -> (file: FileSource, offset: Int) {
    let location = try entry("location", of: tensor)
    guard let location else {
      throw tensor.failure(.externalDataMalformed, expected: "a location", found: "none")
    }
    let offset = try number("offset", of: tensor) ?? 0
    let length = try number("length", of: tensor) ?? byteCount
    guard length == byteCount else {
      throw tensor.failure(.sizeMismatch, expected: "\(byteCount) bytes", found: "length \(length)")
    }
    let file = try file(location, of: tensor)
    guard offset <= file.size, byteCount <= file.size - offset else {
      throw tensor.failure(
        .externalDataOutsideFile, expected: "\(byteCount) bytes from byte \(offset) on",
        found: "\(file.size) bytes in \(location)")
    }
    return (file, offset)
  }

  private func entry(_ key: ByteString, of tensor: ONNXTensor) throws(FormatError) -> ByteString? {
    let values = tensor.externalData.filter { ($0.key ?? "") == key }
    guard values.count <= 1 else {
      throw tensor.failure(.externalDataMalformed, expected: "one \(key)", found: "\(values.count)")
    }
    return values.first.map { $0.value ?? "" }
  }

  private func number(_ key: ByteString, of tensor: ONNXTensor) throws(FormatError) -> Int? {
    guard let value = try entry(key, of: tensor) else { return nil }
    let isDecimal = !value.isEmpty && value.bytes.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard isDecimal, let number = Int(value.description) else {
      throw tensor.failure(.externalDataMalformed, expected: "a number of bytes as \(key)", found: "\"\(value)\"")
    }
    return number
  }

  private func file(_ location: ByteString, of tensor: ONNXTensor) throws(FormatError) -> FileSource {
    if let known = state.withLock({ $0.byLocation[location] }) { return known }
    let path = Paths.join(folder, try relativePath(location, of: tensor))
    guard let resolved = Paths.resolved(path) else {
      throw tensor.failure(
        .externalDataMissing, expected: "a file \(location) beside the model", found: "none",
        remedy: "put it into the model's folder under this name")
    }
    guard roots.contains(where: { resolved.utf8.starts(with: ($0 == "/" ? "/" : $0 + "/").utf8) }) else {
      throw tensor.failure(
        .externalDataEscapes, expected: "a file below \(roots.first ?? folder)",
        found: "\(location), which is \(resolved)")
    }
    let file = try FileSource(path: resolved)
    // A path that was changed between the check and the opening is another file.
    guard Paths.resolved(path) == resolved, Directories.identity(of: resolved) == file.identity else {
      throw tensor.failure(.externalDataEscapes, expected: "one file", found: "\(location), which changed meanwhile")
    }
    return state.withLock {
      let shared = $0.byIdentity[file.identity] ?? file
      $0.byIdentity[file.identity] = shared
      $0.byLocation[location] = shared
      return shared
    }
  }

  /// The location without `.` and doubled slashes, when it stays below its folder.
  private func relativePath(_ location: ByteString, of tensor: ONNXTensor) throws(FormatError) -> String {
    func refusal(_ found: String) -> FormatError {
      tensor.failure(.externalDataEscapes, expected: "a relative path below the model's folder", found: found)
    }
    guard let text = location.text, !text.isEmpty else { throw refusal("\"\(location)\"") }
    let bytes = location.bytes
    if bytes.contains(0) { throw refusal("a NUL byte in \"\(location)\"") }
    if bytes.contains(UInt8(ascii: "\\")) { throw refusal("a backslash in \"\(location)\"") }
    if bytes[0] == UInt8(ascii: "/") { throw refusal("the absolute path \"\(location)\"") }
    if bytes.count > 1, bytes[1] == UInt8(ascii: ":") { throw refusal("a drive in \"\(location)\"") }
    let components = text.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }.filter { $0 != "." }
    if components.contains("..") { throw refusal("\"\(location)\"") }
    if bytes[0] == UInt8(ascii: "#") || components.contains("_ORT_MEM_ADDR_") {
      throw refusal("\"\(location)\", which names the memory of the program that wrote it")
    }
    guard !components.isEmpty else { throw refusal("\"\(location)\"") }
    return components.joined(separator: "/")
  }
}
