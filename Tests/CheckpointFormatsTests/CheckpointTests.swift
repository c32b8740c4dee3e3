import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Checkpoints are found and checked")
struct CheckpointTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Writes a valid file of U8 tensors with one element each.
  private func writeShard(_ name: String, _ tensors: [String]) throws {
    let layout = try SafetensorsLayout(
      tensors.map { .init(name: $0, type: .u8, shape: [1]) }, metadata: ["format": "pt"])
    try AtomicFile.write(layout.header + [UInt8](repeating: 0, count: layout.dataSize), to: folder(name))
  }

  private func writeIndex(_ map: String, metadata: String = "{\"total_size\": 3}") throws {
    try folder.write("model.safetensors.index.json", "{\"metadata\": \(metadata), \"weight_map\": \(map)}")
  }

  private func code() -> String? { codeThrown { _ = try Checkpoint(at: folder.path) } }

  @Test("A sharded checkpoint of transformers opens, by folder and by index")
  func goldenSharded() throws {
    let path = Paths.join(golden, "llama-sharded/dense")
    let checkpoint = try Checkpoint(at: path)
    let index = try #require(checkpoint.index)
    #expect(checkpoint.files.count > 1)
    #expect(index.totalSize == checkpoint.dataSize)
    #expect(index.assignments.count == checkpoint.tensors.count)
    #expect(try Checkpoint(at: path + "/model.safetensors.index.json").tensors == checkpoint.tensors)
    #expect(try index.serialized() == allBytes(path + "/model.safetensors.index.json"))
    for tensor in checkpoint.tensors {
      #expect(checkpoint[tensor.name] == tensor)
      #expect(checkpoint.weight(tensor).shape == tensor.shape)
    }
  }

  @Test("Every checkpoint of the golden set opens")
  func goldenAll() throws {
    var count = 0
    for name in try Directories.names(in: golden) {
      for variant in ["dense", "masked"] {
        let path = Paths.join(golden, "\(name)/\(variant)")
        guard Directories.kind(of: path) == .directory else { continue }
        let checkpoint = try Checkpoint(at: path)
        #expect(!checkpoint.tensors.isEmpty)
        count += 1
      }
    }
    #expect(count > 20)
  }

  @Test("A single file comes before an index, and stray shards do not matter")
  func precedence() throws {
    try writeShard("model.safetensors", ["a"])
    try writeShard("model-00001-of-00002.safetensors", ["b"])
    try writeIndex("{\"b\": \"model-00001-of-00002.safetensors\"}")
    #expect(try Checkpoint(at: folder.path).tensors.map(\.name) == ["a"])
    #expect(try Checkpoint(at: folder("model.safetensors.index.json")).tensors.map(\.name) == ["b"])
  }

  @Test(
    "Old indexes without metadata, or with a fraction in it, open",
    arguments: ["null", "{}", "{\"total_size\": 3.0}", "{\"total_size\": \"x\"}"])
  func oldIndexes(metadata: String) throws {
    try writeShard("s1.safetensors", ["a", "c"])
    try writeShard("s0.safetensors", ["b"])
    try writeIndex(
      "{\"a\": \"s1.safetensors\", \"b\": \"s0.safetensors\", \"c\": \"s1.safetensors\"}", metadata: metadata)
    let checkpoint = try Checkpoint(at: folder.path)
    #expect(checkpoint.fileNames == ["s0.safetensors", "s1.safetensors"])
    #expect(checkpoint.tensors.map(\.name) == ["b", "a", "c"])
    #expect(checkpoint.metadata?["format"] == "pt")
  }

  @Test("Index and shards must agree")
  func disagreements() throws {
    try writeShard("s0.safetensors", ["a"])
    try writeShard("s1.safetensors", ["b"])
    try writeIndex("{\"a\": \"s0.safetensors\", \"b\": \"s1.safetensors\", \"c\": \"s1.safetensors\"}")
    #expect(code() == "indexMismatch")
    try writeIndex("{\"a\": \"s1.safetensors\", \"b\": \"s0.safetensors\"}")
    #expect(code() == "indexMismatch")
    try writeIndex("{\"a\": \"s0.safetensors\", \"b\": \"s2.safetensors\"}")
    #expect(code() == "missingShard")
    try writeShard("s1.safetensors", ["b", "c"])
    try writeIndex("{\"a\": \"s0.safetensors\", \"b\": \"s1.safetensors\"}")
    #expect(code() == "indexMismatch")
    try writeShard("s1.safetensors", ["a", "b"])
    #expect(code() == "duplicateTensor")
  }

  @Test(
    "Shard names stay inside the folder",
    arguments: [
      "../s.safetensors", "/s.safetensors", "a/../s.safetensors", "c:\\\\s.safetensors", "s.pt", "", "./s.safetensors",
    ])
  func unsafeNames(name: String) throws {
    try writeIndex("{\"a\": \"\(name)\"}")
    #expect(code() == "unsafeShardName")
  }

  @Test("Malformed indexes are refused", arguments: ["[]", "{\"a\": 1}", "{\"a\": [\"s.safetensors\"]}", "null"])
  func malformedMap(map: String) throws {
    try writeIndex(map)
    #expect(code() == "indexMalformed")
  }

  @Test("An index with one tensor twice is refused")
  func duplicateInIndex() throws {
    try writeIndex("{\"a\": \"s.safetensors\", \"a\": \"s.safetensors\"}")
    #expect(code() == "duplicateKey")
  }

  @Test("Links, as in a Hub cache, are followed")
  func links() throws {
    try writeShard("blob", ["a"])
    try Directories.create(folder("snapshots/abc"))
    symlink("../../blob", folder("snapshots/abc/model.safetensors"))
    #expect(try Checkpoint(at: folder("snapshots/abc")).tensors.count == 1)
  }

  @Test(
    "What merely looks like a Hub id gets a helpful line",
    arguments: ["org-that-is-not/a-folder_1.0", "bert-base-uncased-not-here"])
  func hubIDs(name: String) {
    let error = #expect(throws: FormatError.self) { _ = try CheckpointLocation(resolving: name) }
    #expect(error?.code == .noCheckpoint)
    #expect(error?.remedy?.contains("hf download \(name)") == true)
  }

  @Test(
    "Folders without safetensors say what they hold",
    arguments: [
      ("model.pth", "name the file"), ("training_args.bin", "name the file"), ("model.gguf", "name that file"),
      ("adapter_model.safetensors", "adapter"),
      ("readme", "weights"),
    ])
  func otherFolders(name: String, remedy: String) throws {
    try folder.write(name, "x")
    let error = #expect(throws: FormatError.self) { _ = try CheckpointLocation(resolving: folder.path) }
    #expect(error?.code == .noCheckpoint)
    #expect(error?.remedy?.contains(remedy) == true)
  }
}

@Suite("Checkpoints are cut into shards")
struct ShardPlanTests {
  private func tensors(_ sizes: [Int]) -> [TensorDeclaration] {
    sizes.enumerated().map { TensorDeclaration(name: "t\($0.offset)", type: .u8, shape: [$0.element]) }
  }

  @Test(
    "Shards are cut as huggingface_hub cuts them",
    arguments: [
      ([4, 4, 4], 8, [["t0", "t1"], ["t2"]]), ([4, 4, 4], 12, [["t0", "t1", "t2"]]), ([8, 8], 8, [["t0"], ["t1"]]),
      ([1, 9, 1], 8, [["t1"], ["t0", "t2"]]), ([9, 9], 8, [["t0"], ["t1"]]), ([], 8, [[]]),
      ([3, 3, 3, 9, 3], 6, [["t0", "t1"], ["t3"], ["t2", "t4"]]),
    ] as [([Int], Int, [[String]])])
  func cuts(sizes: [Int], limit: Int, shards: [[String]]) throws {
    let plan = try ShardPlan(tensors(sizes), metadata: nil, maximumShardSize: limit)
    #expect(plan.files.map { $0.layout.tensors.map(\.name) } == shards)
    #expect((plan.index == nil) == (shards.count == 1))
    #expect(plan.index?.content.totalSize == (shards.count == 1 ? nil : sizes.reduce(0, +)))
  }

  @Test("Shards and index carry the names loaders look for")
  func names() throws {
    let plan = try ShardPlan(
      tensors([4, 4]), metadata: ["format": "pt"], maximumShardSize: 4, indexMetadata: ["total_parameters": 8])
    #expect(plan.files.map(\.name) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    #expect(plan.index?.name == "model.safetensors.index.json")
    #expect(
      plan.index.map { String(decoding: $0.content.serialized(), as: UTF8.self) } == """
        {
          "metadata": {
            "total_parameters": 8,
            "total_size": 8
          },
          "weight_map": {
            "t0": "model-00001-of-00002.safetensors",
            "t1": "model-00002-of-00002.safetensors"
          }
        }

        """)
    #expect(
      try ShardPlan(tensors([4]), metadata: nil, maximumShardSize: nil).files.map(\.name) == ["model.safetensors"])
  }

  @Test("A tensor in two shards is refused")
  func duplicates() {
    let group = tensors([1])
    #expect(
      codeThrown { _ = try ShardPlan([("a", group, nil), ("b", group, nil)], indexName: "i") } == "duplicateTensor")
  }

  @Test(
    "Sizes are read in decimal and binary units",
    arguments: [
      ("5GB", 5_000_000_000), ("500MB", 500_000_000), ("10kb", 10_000), ("1TB", 1_000_000_000_000), ("7", 7), ("7B", 7),
      ("1.5 GB", 1_500_000_000), ("2GiB", 2 << 30), ("0.5KiB", 512), ("9223372036854775807", Int.max),
    ])
  func sizes(text: String, bytes: Int) throws { #expect(try byteSize(parsing: text) == bytes) }

  @Test(
    "Other sizes are refused",
    arguments: [
      "", "GB", "0", "-1GB", "5XB", "1e3MB", "5GBs", "1..5GB", "9999999999TB", "0.0000000001GB", "1.GB", "٣GB",
    ])
  func malformedSizes(text: String) { #expect(codeThrown { _ = try byteSize(parsing: text) } == "malformedSize") }
}
