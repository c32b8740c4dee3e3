import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("NumPy files")
struct NumPyTests {
  static let folder = Paths.join(golden, "numpy")
  static let singles = ((try? Directories.names(in: Paths.join(folder, "single"))) ?? []).filter {
    $0.hasSuffix(".npy")
  }

  private func expected(_ name: String) throws -> Weight {
    let file = try SafetensorsFile(path: Paths.join(Self.folder, "arrays.safetensors"))
    return file.weight(try #require(file[name]))
  }

  @Test("An archive's arrays are what NumPy loads", arguments: ["stored.npz", "compressed.npz"])
  func archive(name: String) throws {
    let file = try NumPyFile(path: Paths.join(Self.folder, name))
    #expect(file.arrays.count == 15)
    for (name, weight) in file.arrays {
      let expected = try expected(name)
      #expect(weight.type == expected.type && weight.shape == expected.shape, "\(name)")
      #expect(try weight.bytes() == (try expected.bytes()), "\(name)")
    }
  }

  @Test("A single array is what NumPy loads, of every header version", arguments: singles)
  func single(name: String) throws {
    let file = try NumPyFile(path: Paths.join(Paths.join(Self.folder, "single"), name))
    let array = try #require(file.arrays.first)
    let expected = try expected(String(name.split(separator: ".")[0]))
    #expect(array.weight.type == expected.type && array.weight.shape == expected.shape)
    #expect(try array.weight.bytes() == (try expected.bytes()))
  }

  @Test(
    "A header is written as numpy.save writes it",
    arguments: ["f4", "f8", "f2", "i8", "i1", "u2", "bool", "scalar", "empty", "u8"])
  func header(name: String) throws {
    let bytes = try allBytes(Paths.join(Self.folder, "single/\(name).npy"))
    let expected = try expected(name)
    #expect(try NumPyWriter.header(type: expected.type, shape: expected.shape) + expected.bytes() == bytes)
  }

  @Test("A written archive reads back, stored and compressed", arguments: [false, true])
  func roundTrip(compressed: Bool) throws {
    let file = try NumPyFile(path: Paths.join(Self.folder, "stored.npz"))
    let folder = try TemporaryFolder()
    let output = try AtomicFile(path: folder("copy.npz"))
    try NumPyWriter.writeArchive(file.arrays, to: output.file, compressed: compressed)
    try output.commit()
    let again = try NumPyFile(path: folder("copy.npz"))
    #expect(again.arrays.map(\.name) == file.arrays.map(\.name))
    for (a, b) in zip(file.arrays, again.arrays) {
      #expect(try a.weight.bytes() == (try b.weight.bytes()), "\(a.name)")
    }
  }

  @Test("bfloat16 has no place in an archive, and the error says so")
  func bfloat16() throws {
    let folder = try TemporaryFolder()
    let output = try AtomicFile(path: folder("x.npz"))
    let code = codeThrown {
      try NumPyWriter.writeArchive([("a", .zeros(type: .bf16, shape: [2]))], to: output.file)
    }
    #expect(code == "numpyUnsupported")
  }

  @Test("Every hostile array gets its verdict", arguments: attacks(in: Paths.join(folder, "attacks")))
  func attack(_ attack: Attack) {
    let path = Paths.join(Paths.join(Self.folder, "attacks"), attack.file)
    let code = codeThrown { _ = try NumPyFile(path: path) }
    #expect((code ?? "accepted") == attack.expected)
    #expect(Directories.kind(of: "/tmp/pollard-was-here") == nil)
  }
}
