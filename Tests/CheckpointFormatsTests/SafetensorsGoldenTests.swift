import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

/// A hostile or odd file of the golden set with the verdicts on it.
struct Attack: Sendable, CustomTestStringConvertible {
  let file: String
  let about: String
  let expected: String

  var testDescription: String { "\(file): \(about)" }

  static let folder = Paths.join(golden, "safetensors/attacks")
  static let all: [Attack] = {
    let list = (try? JSONValue(file: Paths.join(folder, "attacks.json")))?["attacks"]?.arrayValue ?? []
    return list.compactMap { entry in
      guard let file = entry["file"]?.stringValue, let expected = entry["ours"]?.stringValue else { return nil }
      return Attack(file: file, about: entry["about"]?.stringValue ?? "", expected: expected)
    }
  }()
}

@Suite("Files made by the safetensors package for Python, and against it")
struct SafetensorsGoldenTests {
  static let files: [String] = {
    let folder = Paths.join(golden, "safetensors")
    return ((try? Directories.names(in: folder)) ?? []).filter { $0.hasSuffix(".safetensors") }
      .map { Paths.join(folder, $0) }
  }()

  @Test("The golden set is there")
  func isThere() {
    #expect(Attack.all.count > 50)
    #expect(Self.files.count > 20)
  }

  @Test("Every hostile file gets its verdict", arguments: Attack.all)
  func attack(_ attack: Attack) throws {
    let path = Paths.join(Attack.folder, attack.file)
    #expect((codeThrown { _ = try SafetensorsFile(path: path) } ?? "accepted") == attack.expected)
    let bytes = try allBytes(path)
    #expect(bytes.withUnsafeBytes { fuzzSafetensors($0) } == (attack.expected == "accepted"))
  }

  @Test("A file of the package comes back byte for byte", arguments: files)
  func roundTrip(path: String) throws {
    let file = try SafetensorsFile(path: path)
    let folder = try TemporaryFolder()
    let metadata = file.metadata
    // More than one key comes in an order that the package does not define, so it is kept rather than sorted.
    let order: SafetensorsLayout.Order = (metadata?.entries.count ?? 0) > 1 ? .given : .reference
    let shuffled = order == .given ? Array(file.tensors) : file.tensors.reversed()
    let layout = try SafetensorsLayout(shuffled.map(\.declaration), metadata: metadata, order: order)
    let output = try AtomicFile(path: folder("copy"))
    try output.file.preallocate(layout.fileSize)
    try output.file.write(layout.header)
    for (tensor, position) in zip(layout.tensors, layout.givenPositions) {
      let source = shuffled[position]
      #expect(source.name == tensor.name)
      try output.file.write(try file.source.bytes(source.byteRange), at: tensor.byteRange.lowerBound)
    }
    try output.commit()
    #expect(try allBytes(folder("copy")) == allBytes(path))
  }

  @Test("Lazy weights give a tensor's bytes", arguments: files.filter { $0.hasSuffix("types-all.safetensors") })
  func weights(path: String) throws {
    let file = try SafetensorsFile(path: path)
    #expect(file.tensors.count > 10)
    for tensor in file.tensors {
      let weight = file.weight(tensor)
      #expect(weight.type == tensor.type)
      #expect(weight.shape == tensor.shape)
    }
  }
}
