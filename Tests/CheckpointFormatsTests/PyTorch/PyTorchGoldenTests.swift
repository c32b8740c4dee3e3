import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

/// Verdicts on the hostile files of a folder, from its `attacks.json`.
func attacks(in folder: String) -> [Attack] {
  let list = (try? JSONValue(file: Paths.join(folder, "attacks.json")))?["attacks"]?.arrayValue ?? []
  return list.compactMap { entry in
    guard let file = entry["file"]?.stringValue, let expected = entry["ours"]?.stringValue else { return nil }
    return Attack(file: file, about: entry["about"]?.stringValue ?? "", expected: expected)
  }
}

@Suite("Files made by torch.save, and against its readers")
struct PyTorchGoldenTests {
  static let folder = Paths.join(golden, "pytorch")
  static let attackFolder = Paths.join(folder, "attacks")
  static let files: [String] = ((try? Directories.names(in: folder)) ?? []).filter { $0.hasSuffix(".pt") }

  @Test("The golden set is there")
  func isThere() {
    #expect(Self.files.count > 15)
    #expect(attacks(in: Self.attackFolder).count > 90)
  }

  @Test("Every tensor is what torch loads: name, type, shape and bytes", arguments: files)
  func isWhatTorchLoads(name: String) throws {
    let file = try PyTorchFile(path: Paths.join(Self.folder, name))
    let expected = try SafetensorsFile(path: Paths.join(Self.folder, name.dropLast(3) + ".safetensors"))
    #expect(Set(file.tensors.map(\.name)) == Set(expected.tensors.map(\.name)))
    try file.checkStorages(pool: ThreadPool(threadCount: 2))
    for record in expected.tensors {
      let tensor = try #require(file.tensors.first { $0.name == record.name })
      #expect(tensor.type == record.type && tensor.shape == record.shape, "\(record.name)")
      let weight = try #require(try file.weight(record.name))
      #expect(try weight.bytes() == (try expected.weight(record).bytes()), "\(record.name)")
    }
  }

  @Test("A slice, a transpose and a permutation stay what they are, and only odd views are gathered")
  func viewsAreExpressions() throws {
    let file = try PyTorchFile(path: Paths.join(Self.folder, "views.pt"))
    for name in ["whole", "rows", "row", "scalar"] {
      #expect(try file.weight(name)?.sourceSlice != nil, "\(name)")
    }
    let transposed = try #require(try file.weight("transposed"))
    #expect(transposed.transposed() == (try file.weight("whole")))
  }

  @Test("Tensors of one storage are equal weights, and views of it are not")
  func sharing() throws {
    let file = try PyTorchFile(path: Paths.join(Self.folder, "shared.pt"))
    #expect(try file.weight("embedding") == file.weight("head"))
    #expect(try file.weight("upper") != file.weight("lower"))
  }

  @Test("Every hostile file gets its verdict", arguments: attacks(in: attackFolder))
  func attack(_ attack: Attack) throws {
    let path = Paths.join(Self.attackFolder, attack.file)
    let code = codeThrown {
      let file = try PyTorchFile(path: path)
      for tensor in file.tensors { _ = try file.weight(tensor.name)?.bytes() }
    }
    #expect((code ?? "accepted") == attack.expected)
    #expect(Directories.kind(of: "/tmp/pollard-was-here") == nil)
  }

  @Test(
    "What is refused is named",
    arguments: [
      ("system-2", "posix.system"), ("inst", "INST"), ("ext2", "EXT2"), ("getattr-chain", "getattr"),
      ("module", "save only its tensors"), ("quantised", "QInt8Storage"), ("sparse", "a sparse tensor"),
      ("stream", "torch.load(\"stream.pt\", weights_only=True)"), ("torchscript", "TorchScript"),
      ("build-list", "BUILD"),
    ])
  func names(file: String, part: String) {
    do {
      _ = try PyTorchFile(path: Paths.join(Self.attackFolder, file + ".pt"))
      Issue.record("accepted")
    } catch {
      #expect(error.description.contains(part), "\(error)")
      #expect(error.description.hasPrefix(Paths.join(Self.attackFolder, file + ".pt")))
    }
  }

  @Test("A pickle cut off anywhere is refused", arguments: ["shared.pt", "training.pt", "protocol4.pt"])
  func truncation(name: String) throws {
    let pickle = try PyTorchFile.pickle(path: Paths.join(Self.folder, name))
    #expect(fuzzPickle(pickle))
    for length in pickle.indices { #expect(!fuzzPickle(Array(pickle[..<length])), "\(length)") }
  }

  @Test(
    "Changed bits of a pickle never trap", arguments: ["shared.pt", "training.pt", "protocol4.pt", "attributes.pt"])
  func flippedPickle(name: String) throws {
    let pickle = try PyTorchFile.pickle(path: Paths.join(Self.folder, name))
    for position in stride(from: 0, to: pickle.count, by: 1 + pickle.count / 1000) {
      for bit in 0..<8 {
        var changed = pickle
        changed[position] ^= 1 << bit
        fuzzPickle(changed)
      }
    }
  }

  @Test(
    "Changed bytes of a file never trap",
    arguments: [
      "pytorch/shared.pt", "pytorch/zip64.pt", "pytorch/deflated.pt", "numpy/stored.npz", "numpy/compressed.npz",
      "numpy/single/f4.npy",
    ])
  func flippedFile(name: String) throws {
    let bytes = try allBytes(Paths.join(golden, name))
    let folder = try TemporaryFolder()
    let seed = UInt64.random(in: .min ... .max)
    var state = seed
    for position in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 1500) {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var changed = bytes
      changed[position] ^= UInt8(truncatingIfNeeded: state >> 33) | 1
      if position % 3 == 0 { changed.removeLast(Int(state >> 40) % changed.count) }
      let output = try OutputFile(creating: folder("\(position)"), shownAs: "x")
      try output.write(changed)
      fuzzArchive(path: folder("\(position)"))
      try Directories.remove(folder("\(position)"))
    }
    print("flipped bytes of \(name), seed \(seed)")
  }

  @Test("A damaged storage is noticed when it is read whole, not when the file is opened")
  func lazyChecksum() throws {
    var bytes = try allBytes(Paths.join(Self.folder, "shared.pt"))
    let range = try #require(try PyTorchFile(path: Paths.join(Self.folder, "shared.pt")).tensors.first).byteRange
    bytes[range.lowerBound] ^= 1
    let folder = try TemporaryFolder()
    try AtomicFile.write(bytes, to: folder("damaged.pt"))
    let file = try PyTorchFile(path: folder("damaged.pt"))
    #expect(codeThrown { try file.checkStorages(pool: ThreadPool(threadCount: 1)) } == "checksumMismatch")
  }
}
