import PollardBase

/// The records of a PyTorch zip file: entries under one folder, whose name is the first entry's.
///
/// | record                  | content                                                         |
/// |-------------------------|-----------------------------------------------------------------|
/// | `data.pkl`              | the pickle; storages are named in it by their keys               |
/// | `data/<key>`            | the bytes of a storage                                           |
/// | `byteorder`             | `little` or `big`; little where it is missing                    |
/// | `version`, `.data/version` | the container's version, a decimal number                     |
/// | `constants.pkl`, `code/` | only in TorchScript programs                                    |
struct PyTorchArchive: Sendable {
  let zip: ZipArchive
  /// The folder's name with its slash.
  let root: String
  /// Whether the storages' numbers are big-endian.
  let isBigEndian: Bool

  /// The container's versions that are known.
  private static let versions = 1...10

  /// Whether a zip archive is one of PyTorch's.
  static func recognizes(_ zip: ZipArchive) -> Bool { root(of: zip).map { zip[$0 + "data.pkl"] != nil } ?? false }

  private static func root(of zip: ZipArchive) -> String? {
    guard let first = zip.entries.first?.name, let slash = first.firstIndex(of: "/") else { return nil }
    return String(first[...slash])
  }

  /// Checks what kind of archive a zip file is.
  ///
  /// - Throws: `legacyPyTorch` for TorchScript, `wrongFormat` for other archives, `zipMalformed` for entries outside the folder, and what
  ///   reading records throws.
  init(_ zip: ZipArchive) throws(FormatError) {
    self.zip = zip
    let path = zip.source.path
    guard let root = Self.root(of: zip), zip[root + "data.pkl"] != nil else {
      let isNumPy = zip.entries.contains { $0.name.hasSuffix(".npy") }
      throw FormatError(
        .wrongFormat, file: path, expected: "a PyTorch file, with data.pkl",
        found: isNumPy ? "a NumPy archive" : "another zip archive",
        remedy: isNumPy ? "NumPy archives are read as masks and inputs; store weights as safetensors" : nil)
    }
    self.root = root
    if zip[root + "constants.pkl"] != nil || zip.entries.contains(where: { $0.name.hasPrefix(root + "code/") }) {
      throw FormatError(
        .legacyPyTorch, file: path, expected: "a checkpoint of tensors", found: "a TorchScript program",
        remedy: "save only its tensors: torch.save(torch.jit.load(\"\(Paths.lastComponent(path))\").state_dict(), …)")
    }
    if let stray = zip.entries.first(where: { !$0.name.hasPrefix(root) }) {
      throw FormatError(
        .zipHostile, file: path, subject: .key(stray.name), expected: "every record under \(root)",
        found: "another folder")
    }
    func text(_ name: String) throws(FormatError) -> String? {
      guard let entry = zip[root + name] else { return nil }
      let bytes = try Self.contents(entry, of: zip, limit: 64)
      return String(decoding: bytes, as: UTF8.self).trimmed
    }
    switch try text("byteorder") {
    case nil, "little"?: isBigEndian = false
    case "big"?: isBigEndian = true
    case let other?:
      throw FormatError(
        .zipUnsupported, file: path, subject: .key("byteorder"), expected: "little or big", found: "\"\(other)\"")
    }
    for name in ["version", ".data/version"] {
      guard let version = try text(name) else { continue }
      guard let number = Int(version), Self.versions.contains(number) else {
        throw FormatError(
          .zipUnsupported, file: path, subject: .key(name), expected: "a version from 1 to 10", found: "\"\(version)\"")
      }
    }
  }

  /// The bytes of a record and where they begin in the file; 0 when they are compressed there.
  func record(_ name: String, limit: Int) throws(FormatError) -> (bytes: [UInt8], start: Int) {
    guard let entry = zip[root + name] else {
      throw FormatError(.zipMalformed, file: zip.source.path, expected: "the record \(name)", found: "none")
    }
    let bytes = try Self.contents(entry, of: zip, limit: limit)
    return (bytes, entry.method == .stored ? try zip.dataRange(of: entry).lowerBound : 0)
  }

  /// The entry of a storage.
  func storage(_ key: String) -> ZipEntry? { zip[root + "data/" + key] }

  /// Bytes with their checksum, which PyTorch leaves 0 when it is told not to compute it.
  private static func contents(_ entry: ZipEntry, of zip: ZipArchive, limit: Int) throws(FormatError) -> [UInt8] {
    if entry.checksum == 0, entry.method == .stored, entry.size <= limit {
      return try zip.source.bytes(zip.dataRange(of: entry))
    }
    return try zip.bytes(of: entry, limit: limit)
  }
}

extension String {
  /// Without blanks and line ends around it.
  fileprivate var trimmed: String {
    let start = drop { $0.isWhitespace }
    return String(start.reversed().drop { $0.isWhitespace }.reversed())
  }
}
