import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("Split GGUF files are put together")
struct GGUFCheckpointTests {
  private let folder: TemporaryFolder
  private let output: String

  init() throws {
    folder = try TemporaryFolder()
    var options = GGUFWriter.Options()
    options.maximumShardSize = 64
    let writer = try GGUFWriter(
      metadata: ["general.architecture": .string("test")],
      tensors: (0..<3).map { ascending("t\($0)", [4, 3]) }, fileName: "model.gguf", options: options)
    output = try writer.write(into: folder)
  }

  private func part(_ number: Int, of count: Int = 3) -> String {
    Paths.join(output, "model-0000\(number)-of-0000\(count).gguf")
  }

  /// Writes a part anew with other keys.
  private func rewrite(_ number: Int, as target: Int? = nil, _ change: (inout GGUFMetadata) -> Void) throws {
    let file = try GGUFFile(path: part(number))
    var metadata = file.metadata
    change(&metadata)
    // One file of its own, whose split keys stay as they are given.
    let count = metadata.remove("split.count")
    let keys = [metadata.remove("split.no"), count, metadata.remove("split.tensors.count")]
    let names = ["split.no", "split.count", "split.tensors.count"]
    var renamed = metadata
    for (name, key) in zip(names, keys) { if let key { renamed.append("x" + name.dropFirst(), key) } }
    let writer = try GGUFWriter(metadata: renamed, tensors: file.copies, fileName: "part.gguf")
    let copy = try TemporaryFolder()
    var bytes = try allBytes(Paths.join(writer.write(into: copy), "part.gguf"))
    for name in names {
      guard let place = bytes.indices.first(where: { bytes[$0...].starts(with: ("x" + name.dropFirst()).utf8) })
      else { continue }
      bytes[place] = UInt8(ascii: "s")
    }
    try AtomicFile.write(bytes, to: part(target ?? number))
  }

  @Test("Any part, and the folder, stand for the whole")
  func whole() throws {
    for path in [part(1), part(2), part(3), output, output + "/"] {
      let model = try GGUFCheckpoint(at: path)
      #expect(model.files.count == 3 && model.path == part(1))
      #expect(model.tensors.map(\.name) == ["t0", "t1", "t2"] && model.tensors.map(\.fileIndex) == [0, 1, 2])
      #expect(try model.metadata.string("general.architecture") == "test")
      #expect(try model.metadata.integer("split.count") == 3)
      let tensor = try #require(model["t2"])
      #expect(try model.weight(tensor).floats() == (0..<12).map(Float.init))
      #expect(model.dataSize == 3 * 48)
      #expect(GGUFCheckpoint.recognizes(path))
    }
  }

  @Test("A part that is missing is named")
  func missing() throws {
    try Directories.remove(part(2))
    let error = #expect(throws: FormatError.self) { try GGUFCheckpoint(at: part(3)) }
    #expect(error?.code == .missingShard && error?.found?.contains(part(2)) == true)
  }

  @Test("A part under another name is refused")
  func name() throws {
    let other = Paths.join(output, "other.gguf")
    try AtomicFile.write(allBytes(part(1)), to: other)
    #expect(codeThrown { _ = try GGUFCheckpoint(at: other) } == "ggufSplitName")
  }

  @Test("A part in another's place is refused")
  func number() throws {
    try AtomicFile.write(allBytes(part(3)), to: part(2))
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitNumber")
  }

  @Test("Parts that disagree with their names about their number are refused")
  func count() throws {
    for number in 1...2 { try AtomicFile.write(allBytes(part(number)), to: part(number, of: 2)) }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1, of: 2)) } == "ggufSplitCount")
    try rewrite(2) { $0.append("split.count", .uint16(4)) }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitCount")
  }

  @Test("A part that does not say which it is is refused")
  func keys() throws {
    try rewrite(2) { $0.remove("split.no") }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitKey")
    try rewrite(1) { $0.append("split.count", .string("3")) }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitKey")
  }

  @Test("Later parts need to say no more than which they are")
  func fewKeys() throws {
    try rewrite(2) {
      $0.remove("split.count")
      $0.remove("split.tensors.count")
    }
    #expect(try GGUFCheckpoint(at: part(1)).tensors.count == 3)
  }

  @Test("Parts of different models are refused")
  func mixed() throws {
    try rewrite(2) { $0.append("split.tensors.count", .int32(9)) }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitMixed")
    try rewrite(2) {
      $0.append("general.architecture", .string("other")); $0.remove("split.tensors.count")
    }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitMixed")
  }

  @Test("A number of tensors that is not there is refused")
  func tensorCount() throws {
    for number in 1...3 { try rewrite(number) { $0.append("split.tensors.count", .int32(4)) } }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "ggufSplitTensorCount")
  }

  @Test("A tensor in two parts is refused")
  func duplicate() throws {
    try rewrite(1, as: 2) {
      $0.append("split.no", .uint16(1))
    }
    #expect(codeThrown { _ = try GGUFCheckpoint(at: part(1)) } == "duplicateTensor")
  }

  @Test("A folder must hold one model, and a path must lead somewhere")
  func folders() throws {
    #expect(codeThrown { _ = try GGUFCheckpoint(at: folder.path) } == "noCheckpoint")
    #expect(codeThrown { _ = try GGUFCheckpoint(at: folder("none.gguf")) } == "noCheckpoint")
    #expect(!GGUFCheckpoint.recognizes(folder.path) && !GGUFCheckpoint.recognizes(folder("none.gguf")))
    try AtomicFile.write(allBytes(Paths.join(GGUFDescription.folder, "hand-3.gguf")), to: Paths.join(output, "b.gguf"))
    let error = #expect(throws: FormatError.self) { try GGUFCheckpoint(at: output) }
    #expect(error?.code == .noCheckpoint && error?.found?.contains("b.gguf") == true)
    #expect(GGUFCheckpoint.recognizes(Paths.join(output, "b.gguf")))
  }

  @Test(
    "Names of parts are read strictly",
    arguments: [
      ("model-00001-of-00003.gguf", 1, 3), ("a/b-00010-of-00010.gguf", 10, 10), ("é-99999-of-99999.gguf", 99999, 99999),
    ])
  func splitNames(path: String, number: Int, count: Int) {
    let name = GGUFSplitName(path)
    #expect(name?.number == number && name?.count == count && name?.path == path)
  }

  @Test(
    "Other names are names of single files",
    arguments: [
      "model.gguf", "model-1-of-3.gguf", "model-00004-of-00003.gguf", "model-00000-of-00003.gguf",
      "-00001-of-00003.gguf", "model-00001-of-00003.bin", "model-0000١-of-00003.gguf", "",
    ])
  func otherNames(path: String) { #expect(GGUFSplitName(path) == nil) }
}
