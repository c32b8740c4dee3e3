import PollardBase
import TensorStorage

/// The tensors and metadata of a GGUF model: one file, or the parts of a split one.
///
///     let model = try GGUFCheckpoint(at: "model-00001-of-00003.gguf")
///     let query = model["blk.0.attn_q.weight"].map(model.weight)
public struct GGUFCheckpoint: Sendable {
  /// The path of the file, or of the first part.
  public let path: String
  /// The files in the order of their numbers.
  public let files: [GGUFFile]
  /// The keys and values of the file, or of the first part, `split.` keys included.
  public let metadata: GGUFMetadata
  /// All tensors, file after file; `fileIndex` says in which.
  public let tensors: [GGUFTensor]
  private let positions: [ExactString: Int]

  /// Opens a file, any part of a split file, or a folder that holds one such model.
  ///
  /// - Throws: `noCheckpoint`; what `GGUFFile` throws; `ggufSplitName`, `ggufSplitKey`, `ggufSplitNumber`, `ggufSplitCount`,
  ///   `ggufSplitTensorCount` and `ggufSplitMixed` for parts that do not make a whole, `missingShard` for one that is not there,
  ///   `duplicateTensor` for a tensor in two.
  public init(at path: String) throws(FormatError) {
    let path = try Self.resolve(path)
    let first = try GGUFFile(path: path)
    guard let count = try Self.partCount(first), count > 1 else {
      try self.init(files: [first], path: path)
      return
    }
    guard let name = GGUFSplitName(path) else {
      throw FormatError(
        .ggufSplitName, file: path, expected: "a name like model-00001-of-\(GGUFSplitName.example(count)).gguf",
        found: "\"\(Paths.lastComponent(path))\"", remedy: "give the parts the names they were written under")
    }
    var files: [GGUFFile] = []
    for number in 1...name.count {
      let part = name.part(number).path
      if number == name.number {
        files.append(first)
        continue
      }
      guard Directories.kind(of: part) != nil else {
        throw FormatError(
          .missingShard, file: path, expected: "\(name.count) parts", found: "no file \(part)",
          remedy: "fetch the missing file into the folder")
      }
      files.append(try GGUFFile(path: part))
    }
    try Self.check(files, name)
    try self.init(files: files, path: name.part(1).path)
  }

  private init(files: [GGUFFile], path: String) throws(FormatError) {
    var tensors: [GGUFTensor] = []
    var positions: [ExactString: Int] = [:]
    for (index, file) in files.enumerated() {
      for var tensor in file.tensors {
        tensor.fileIndex = index
        if let other = positions.updateValue(tensors.count, forKey: ExactString(tensor.name)) {
          throw FormatError(
            .duplicateTensor, file: file.source.path, subject: .tensor(tensor.name),
            found: "it also in \(files[tensors[other].fileIndex].source.path)")
        }
        tensors.append(tensor)
      }
    }
    if let stated = try files[0].metadata.integer(ifPresent: GGUFSplitKey.tensorCount), files.count > 1,
      stated != tensors.count
    {
      throw FormatError(
        .ggufSplitTensorCount, file: path, subject: .key(GGUFSplitKey.tensorCount), expected: "\(stated)",
        found: "\(tensors.count)", remedy: "fetch all parts again, from one place")
    }
    self.path = path
    self.files = files
    metadata = files[0].metadata
    self.tensors = tensors
    self.positions = positions
  }

  /// Whether a path names a file that begins with the letters of the format, or a folder whose only model is such a file.
  public static func recognizes(_ path: String) -> Bool {
    switch Directories.kind(of: path) {
    case .file?: GGUFFile.recognizes(path: path)
    case .directory?: (try? resolve(path)) != nil
    default: false
    }
  }

  /// The tensor of a name, compared byte by byte.
  public subscript(name: String) -> GGUFTensor? { positions[ExactString(name)].map { tensors[$0] } }

  /// A tensor of this checkpoint as a lazy weight, as `GGUFFile.weight(_:)` gives it.
  public func weight(_ tensor: GGUFTensor) -> Weight { files[tensor.fileIndex].weight(tensor) }

  /// The names of the files, without folders.
  public var fileNames: [String] { files.map { Paths.lastComponent($0.source.path) } }

  /// The bytes of all files together.
  public var fileSize: Int { files.reduce(0) { $0 + $1.source.size } }

  /// The bytes of all tensors together.
  public var dataSize: Int { tensors.reduce(0) { $0 + $1.byteRange.count } }

  /// The file, or the first part, that a path stands for.
  private static func resolve(_ path: String) throws(FormatError) -> String {
    switch Directories.kind(of: path) {
    case .file?: return path
    case nil: throw FormatError(.noCheckpoint, file: path, found: "nothing", remedy: "check the path")
    case .directory?: break
    default: throw FormatError(.noCheckpoint, file: path, expected: "a file or folder", found: "something else")
    }
    let folder = Paths.withoutTrailingSlashes(path)
    let names = try Directories.names(in: folder).filter { $0.hasSuffix(".gguf") }
    let models = names.filter { (GGUFSplitName($0)?.number ?? 1) == 1 }
    guard models.count == 1, let only = models.first else {
      throw FormatError(
        .noCheckpoint, file: folder, expected: "one GGUF model",
        found: models.isEmpty ? "none" : models.prefix(4).joined(separator: ", "),
        remedy: "name the file to use instead of the folder")
    }
    return Paths.join(folder, only)
  }

  /// How many parts a file says it is one of; nil when it says nothing.
  private static func partCount(_ file: GGUFFile) throws(FormatError) -> Int? {
    do throws(FormatError) { return try file.metadata.integer(ifPresent: GGUFSplitKey.count) } catch {
      throw FormatError(
        .ggufSplitKey, file: file.source.path, subject: .key(GGUFSplitKey.count), expected: error.expected,
        found: error.found)
    }
  }

  /// Checks that parts, in the order of their names, make a whole.
  private static func check(_ files: [GGUFFile], _ name: GGUFSplitName) throws(FormatError) {
    for (index, file) in files.enumerated() {
      func failure(_ code: DiagnosticCode<FormatDomain>, _ key: String, _ expected: Int, _ found: Int) -> FormatError {
        FormatError(
          code, file: file.source.path, subject: .key(key), expected: "\(expected)", found: "\(found)",
          remedy: "fetch all parts again, from one place")
      }
      func stated(_ key: String) throws(FormatError) -> Int {
        do throws(FormatError) { return try file.metadata.integer(key) } catch {
          throw FormatError(
            .ggufSplitKey, file: file.source.path, subject: .key(key), expected: "an integer", found: error.found,
            remedy: "fetch all parts again, from one place")
        }
      }
      let number = try stated(GGUFSplitKey.number)
      if number != index { throw failure(.ggufSplitNumber, GGUFSplitKey.number, index, number) }
      // Later parts need to say no more than which they are.
      if index == 0 || file.metadata.contains(GGUFSplitKey.count) {
        let count = try stated(GGUFSplitKey.count)
        if count != name.count { throw failure(.ggufSplitCount, GGUFSplitKey.count, name.count, count) }
      }
      if index > 0 {
        for key in [GGUFSplitKey.tensorCount, "general.architecture"] {
          guard let value = file.metadata[key], let first = files[0].metadata[key], value != first else { continue }
          throw FormatError(
            .ggufSplitMixed, file: file.source.path, subject: .key(key), expected: "\(first), as in part 1",
            found: "\(value)", remedy: "fetch all parts again, from one place")
        }
        if file.byteOrder != files[0].byteOrder {
          throw FormatError(
            .ggufSplitMixed, file: file.source.path, expected: "the byte order of part 1", found: "the other one",
            remedy: "fetch all parts again, from one place")
        }
      }
    }
  }
}

extension GGUFSplitName {
  /// A number as names have it.
  fileprivate static func example(_ count: Int) -> String {
    String(GGUFSplitName(stem: "", number: 1, count: count).path.dropLast(5).suffix(5))
  }
}
