import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

/// A broken or odd file of the golden set with the verdicts on it.
struct GGUFAttack: Sendable, CustomTestStringConvertible {
  let file: String
  let about: String
  let reference: String
  let expected: String

  var testDescription: String { "\(file): \(about)" }
  var path: String { Paths.join(Self.folder, file) }

  static let folder = Paths.join(golden, "gguf-codec/attacks")
  static let all: [GGUFAttack] = {
    let list = (try? JSONValue(file: Paths.join(folder, "attacks.json")))?["attacks"]?.arrayValue ?? []
    return list.compactMap { entry in
      guard let file = entry["file"]?.stringValue, let expected = entry["ours"]?.stringValue else { return nil }
      return GGUFAttack(
        file: file, about: entry["about"]?.stringValue ?? "", reference: entry["reference"]?.stringValue ?? "",
        expected: expected)
    }
  }()
}

@Suite("GGUF files by gguf-py and llama.cpp, and broken ones")
struct GGUFGoldenTests {
  @Test("The golden set is there, and has a file for every rule of the header")
  func isThere() {
    #expect(GGUFAttack.all.count > 100)
    #expect(GGUFDescription.all.count > 30)
    let codes: [DiagnosticCode<FormatDomain>] = [
      .notGGUF, .ggufVersionUnsupported, .ggufCountImpossible, .ggufStringTooLong, .ggufKeyEmpty, .ggufKeyDuplicate,
      .ggufNameNotUTF8, .ggufValueTypeUnknown, .ggufArrayNested, .ggufArrayTooLong, .ggufAlignmentType,
      .ggufAlignmentInvalid, .ggufTensorNameTooLong, .duplicateTensor, .ggufTooManyAxes, .ggufExtentNegative,
      .shapeOverflow, .ggufTensorTypeUnknown, .ggufTensorTypeRemoved, .ggufRowNotWholeBlocks, .ggufDataOutsideFile,
      .ggufOffsetUnexpected, .ggufTensorOutsideFile, .ggufByteOrderUndefined, .truncated,
    ]
    let reached = Set(GGUFAttack.all.map(\.expected))
    for code in codes { #expect(reached.contains(code.name), "\(code.name)") }
  }

  @Test("Every broken file gets its verdict, which names file and place", arguments: GGUFAttack.all)
  func attack(_ attack: GGUFAttack) throws {
    var error: FormatError?
    do throws(FormatError) { _ = try GGUFFile(path: attack.path) } catch let thrown { error = thrown }
    #expect(error?.code.name ?? "accepted" == attack.expected, "\(error?.description ?? "")")
    if let error {
      #expect(error.file == attack.path)
      #expect(error.location != nil || error.subject != nil || error.remedy != nil || error.code == .notGGUF)
    }
    let bytes = try allBytes(attack.path)
    #expect(bytes.withUnsafeBytes { fuzzGGUF($0) } == (attack.expected == "accepted"))
  }

  @Test("Nothing that llama.cpp refuses is accepted, but what this reader can do more")
  func verdicts() {
    let more: Set = ["version-1.bin", "big-endian.bin", "data-unpadded.bin"]
    for attack in GGUFAttack.all where attack.reference != "accepted" {
      #expect(attack.expected != "accepted" || more.contains(attack.file), "\(attack.file)")
    }
  }

  @Test("Every file holds what Python's struct module finds in it", arguments: GGUFDescription.all)
  func content(_ expected: GGUFDescription) throws {
    let file = try GGUFFile(path: expected.path)
    #expect(file.version == expected.version)
    #expect(file.byteOrder == (expected.isBig ? .big : .little))
    #expect(file.alignment == expected.alignment)
    try #require(file.metadata.count == expected.metadata.count)
    for (entry, wanted) in zip(file.metadata.entries, expected.metadata) {
      let wanted = wanted.arrayValue ?? []
      #expect(wanted.count == 3 && entry.key == wanted[0].stringValue && entry.value.type.name == wanted[1].stringValue)
      #expect(spelled(entry.value) == wanted[2], "\(entry.key)")
    }
    try #require(file.tensors.count == expected.tensors.count)
    for (tensor, wanted) in zip(file.tensors, expected.tensors) {
      #expect(tensor.name == wanted["name"]?.stringValue && tensor.type.name == wanted["type"]?.stringValue)
      #expect(tensor.extents == wanted["extents"]?.arrayValue?.compactMap(\.intValue))
      #expect(tensor.byteRange.lowerBound == wanted["offset"]?.intValue)
      #expect(tensor.byteRange.count == wanted["bytes"]?.intValue)
      #expect(tensor.shape.extents == tensor.extents.reversed())
      #expect(file[tensor.name] == tensor)
      let weight = file.weight(tensor)
      #expect(weight.shape == tensor.storedShape)
      #expect(checksum(try file.source.bytes(tensor.byteRange)) == wanted["content"]?.stringValue)
      if !expected.isBig { #expect(checksum(try weight.bytes()) == wanted["content"]?.stringValue) }
    }
  }

  @Test("Every file comes back byte for byte", arguments: GGUFDescription.all.filter { !$0.file.contains("split-") })
  func roundTrip(_ expected: GGUFDescription) throws {
    let file = try GGUFFile(path: expected.path)
    let writer = try GGUFWriter(
      metadata: file.metadata, tensors: file.copies, fileName: "copy.gguf", options: GGUFWriter.Options(of: file))
    #expect(writer.totalSize == file.source.size)
    let folder = try TemporaryFolder()
    let copy = Paths.join(try writer.write(into: folder), "copy.gguf")
    #expect(try allBytes(copy) == allBytes(expected.path))
  }

  @Test("Split files come back byte for byte", arguments: ["split-tensors", "split-size", "split-empty-first"])
  func splitRoundTrip(stem: String) throws {
    let names = try Directories.names(in: GGUFDescription.folder).filter { $0.hasPrefix(stem) }.sorted()
    let model = try GGUFCheckpoint(at: Paths.join(GGUFDescription.folder, try #require(names.first)))
    let writer = try GGUFWriter(
      metadata: model.metadata, shards: model.files.map(\.copies), fileName: stem + ".gguf",
      options: GGUFWriter.Options(of: model.files[0]))
    #expect(writer.files.map(\.name) == names)
    let folder = try TemporaryFolder()
    let output = try writer.write(into: folder)
    for name in names {
      #expect(try allBytes(Paths.join(output, name)) == allBytes(Paths.join(GGUFDescription.folder, name)))
    }
  }

  @Test(
    "gguf-py's limits cut tensors where gguf-py cuts them",
    arguments: [("split-size", false), ("split-empty-first", true)])
  func splitting(stem: String, isFirstEmpty: Bool) throws {
    let names = try Directories.names(in: GGUFDescription.folder).filter { $0.hasPrefix(stem) }.sorted()
    let model = try GGUFCheckpoint(at: Paths.join(GGUFDescription.folder, try #require(names.last)))
    #expect(model.tensors.map(\.name) == (0..<5).map { "t\($0)" })
    var options = GGUFWriter.Options()
    options.maximumShardSize = 100
    options.isFirstShardEmpty = isFirstEmpty
    let writer = try GGUFWriter(
      metadata: model.metadata, tensors: model.files.flatMap(\.copies), fileName: stem + ".gguf", options: options)
    let folder = try TemporaryFolder()
    let output = try writer.write(into: folder)
    #expect(writer.files.map(\.name) == names)
    for name in names {
      #expect(try allBytes(Paths.join(output, name)) == allBytes(Paths.join(GGUFDescription.folder, name)))
    }
  }

  @Test(
    "Big-endian tensors give the bytes of their little-endian twins",
    arguments: [("gguf-py-big", "gguf-py-little"), ("converted-big", "converted-little"), ("hand-3-big", "hand-3")])
  func twins(big: String, little: String) throws {
    let a = try GGUFFile(path: Paths.join(GGUFDescription.folder, big + ".gguf"))
    let b = try GGUFFile(path: Paths.join(GGUFDescription.folder, little + ".gguf"))
    #expect(a.byteOrder == .big && b.byteOrder == .little)
    #expect(a.metadata == b.metadata)
    try #require(a.tensors == b.tensors && !a.tensors.isEmpty)
    for tensor in a.tensors {
      #expect(try a.weight(tensor).bytes() == b.weight(tensor).bytes(), "\(tensor.name)")
      let rows = [tensor.storedShape[0] - 1]
      #expect(
        try a.weight(tensor).keeping(rows, axis: 0).bytes() == b.weight(tensor).keeping(rows, axis: 0).bytes())
    }
    // And written: the little-endian twin in the other order is the file itself.
    let writer = try GGUFWriter(
      metadata: b.metadata, tensors: b.copies, fileName: "copy.gguf", options: GGUFWriter.Options(of: a))
    let folder = try TemporaryFolder()
    #expect(try allBytes(Paths.join(writer.write(into: folder), "copy.gguf")) == allBytes(a.source.path))
  }

  @Test(
    "Files of other formats are named",
    arguments: [
      ("git-lfs-stub.bin", "LFS"), ("html.bin", "web page"), ("zip.bin", "zip"), ("safetensors.bin", "safetensors"),
      ("older-format.bin", "before GGUF"),
    ])
  func otherFormats(file: String, named: String) {
    let error = #expect(throws: FormatError.self) { try GGUFFile(path: Paths.join(GGUFAttack.folder, file)) }
    #expect(error?.found?.contains(named) == true, "\(error?.description ?? "")")
  }
}
