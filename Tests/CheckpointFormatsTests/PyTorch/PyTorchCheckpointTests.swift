import CheckpointFormats
import PollardBase
import Testing

@Suite("PyTorch files as checkpoints")
struct PyTorchCheckpointTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func copy(_ name: String, as target: String) throws {
    try AtomicFile.write(try allBytes(Paths.join(PyTorchGoldenTests.folder, name)), to: folder(target))
  }

  @Test("A folder's pytorch_model.bin is found where there are no safetensors")
  func inFolder() throws {
    try copy("parameters.pt", as: "pytorch_model.bin")
    try copy("types.pt", as: "training_args.bin")
    let checkpoint = try Checkpoint(at: folder.path)
    #expect(checkpoint.fileNames == ["pytorch_model.bin"])
    #expect(checkpoint.isPyTorch)
    #expect(checkpoint["0.weight"]?.shape == [3, 4])
    try AtomicFile.write(safetensors("{}"), to: folder("model.safetensors"))
    #expect(try Checkpoint(at: folder.path).fileNames == ["model.safetensors"])
  }

  @Test("The only .bin file with another name is found too, and two are not guessed between")
  func otherNames() throws {
    try copy("parameters.pt", as: "weights.bin")
    #expect(try Checkpoint(at: folder.path).tensors.count > 2)
    try copy("parameters.pt", as: "other.bin")
    #expect(codeThrown { _ = try Checkpoint(at: folder.path) } == "noCheckpoint")
  }

  @Test("Shards are read through their index, which must agree with them")
  func sharded() throws {
    try copy("shared.pt", as: "pytorch_model-00001-of-00002.bin")
    try copy("single.pt", as: "pytorch_model-00002-of-00002.bin")
    var entries = ["embedding", "head", "upper", "lower", "flat"].map {
      "\"\($0)\": \"pytorch_model-00001-of-00002.bin\""
    }
    entries.append("\"tensor\": \"pytorch_model-00002-of-00002.bin\"")
    try folder.write(
      "pytorch_model.bin.index.json", "{\"metadata\": {}, \"weight_map\": {\(entries.joined(separator: ", "))}}")
    let checkpoint = try Checkpoint(at: folder.path)
    #expect(checkpoint.tensors.count == 6)
    let tensor = try #require(checkpoint["tensor"])
    #expect(checkpoint.weight(tensor).shape == [6, 4])
    try copy("types.pt", as: "pytorch_model-00002-of-00002.bin")
    #expect(codeThrown { _ = try Checkpoint(at: folder.path) } == "indexMismatch")
  }

  @Test("A file is known by its bytes: safetensors may be called .bin")
  func byContent() throws {
    try AtomicFile.write(
      safetensors(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, dataSize: 1),
      to: folder("pytorch_model.bin"))
    let checkpoint = try Checkpoint(at: folder.path)
    #expect(!checkpoint.isPyTorch && checkpoint["a"] != nil)
  }

  @Test("What a training checkpoint holds beside the model is named")
  func notes() throws {
    let file = try PyTorchFile(path: Paths.join(PyTorchGoldenTests.folder, "training.pt"))
    #expect(file.notes.contains { $0.contains("\"state_dict\"") && $0.contains("optimizer") })
    let wrapped = try PyTorchFile(path: Paths.join(PyTorchGoldenTests.folder, "wrapped.pt"))
    #expect(wrapped.notes.contains { $0.contains("module.") })
  }
}
