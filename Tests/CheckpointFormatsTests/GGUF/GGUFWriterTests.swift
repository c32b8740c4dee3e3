import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("GGUF files are written as loaders want them")
struct GGUFWriterTests {
  private func written(
    _ metadata: GGUFMetadata = [:], _ tensors: [GGUFWriter.Tensor], _ options: GGUFWriter.Options = .init()
  ) throws -> GGUFFile {
    let folder = try TemporaryFolder()
    let writer = try GGUFWriter(metadata: metadata, tensors: tensors, fileName: "m.gguf", options: options)
    return try GGUFFile(path: Paths.join(writer.write(into: folder), "m.gguf"))
  }

  private func code(
    _ metadata: GGUFMetadata = [:], _ tensors: [GGUFWriter.Tensor] = [], _ change: (inout GGUFWriter.Options) -> Void
  ) -> String? {
    var options = GGUFWriter.Options()
    change(&options)
    return codeThrown {
      _ = try GGUFWriter(metadata: metadata, tensors: tensors, fileName: "m.gguf", options: options)
    }
  }

  @Test("An alignment that makes loaders crash becomes 32 in the key too", arguments: [1, 2, 8, 16] as [UInt32])
  func unsafeAlignment(alignment: UInt32) throws {
    let file = try written(
      ["a": .bool(true), "general.alignment": .uint32(alignment), "b": .bool(true)],
      [ascending("t", [3]), ascending("u", [5])])
    #expect(file.alignment == 32 && file.metadata["general.alignment"] == .uint32(32))
    #expect(file.metadata.keys == ["a", "general.alignment", "b"])
    #expect(file.tensors.allSatisfy { $0.byteRange.lowerBound % 32 == 0 })
  }

  @Test("Other alignments stay, or are chosen")
  func alignment() throws {
    let kept = try written(["general.alignment": .uint32(4096)], [ascending("t", [3]), ascending("u", [5])])
    #expect(kept.tensors.map(\.byteRange.lowerBound) == [4096, 8192] && kept.source.size == 12288)
    var options = GGUFWriter.Options()
    options.alignment = 128
    let chosen = try written([:], [ascending("t", [3]), ascending("u", [5])], options)
    #expect(chosen.metadata["general.alignment"] == .uint32(128) && chosen.tensors[1].byteRange.lowerBound == 256)
    #expect(try written([:], [ascending("t", [3])]).metadata["general.alignment"] == nil)
    for alignment in [0, 1, 16, 48, 1 << 21] { #expect(code { $0.alignment = alignment } == "ggufAlignmentInvalid") }
    #expect(code(["general.alignment": .uint32(1 << 31)]) { _ in } == "ggufAlignmentInvalid")
    #expect(code(["general.alignment": .uint64(32)]) { _ in } == "ggufAlignmentType")
  }

  @Test("What no reader takes is not written")
  func refused() throws {
    let long = String(repeating: "n", count: 64)
    #expect(code([:], [ascending(long, [1])]) { _ in } == "ggufTensorNameTooLong")
    #expect(code([:], [ascending(String(long.dropLast()), [1])]) { _ in } == nil)
    #expect(code([:], [ascending("t", [1]), ascending("t", [1])]) { _ in } == "duplicateTensor")
    #expect(code([:], [ascending("t", [1, 1, 1, 1, 1])]) { _ in } == "ggufTooManyAxes")
    #expect(code(["": .bool(true)]) { _ in } == "ggufKeyEmpty")
    #expect(code { $0.version = 4 } == "ggufVersionUnsupported")
    #expect(code { $0.version = 0 } == "ggufVersionUnsupported")
    #expect(code { ($0.version, $0.byteOrder) = (2, .big) } == "ggufVersionUnsupported")
    #expect(code([:], [blocks("q", .q5_0, [2, 64])]) { $0.byteOrder = .big } == "ggufByteOrderUndefined")
    let ragged = GGUFWriter.Tensor(
      name: "q", type: GGUFTensorType(.q8_0), shape: [33], weight: .zeros(type: .u8, shape: [34]))
    #expect(code([:], [ragged]) { _ in } == "ggufRowNotWholeBlocks")
  }

  @Test("Too many files are refused", arguments: [65535, 65536])
  func tooManyFiles(count: Int) {
    let empty = Weight.zeros(type: .f32, shape: [0])
    let type = GGUFTensorType.all[0]
    let shards = (0..<count).map { [GGUFWriter.Tensor(name: "t\($0)", type: type, shape: [0], weight: empty)] }
    let code = codeThrown { _ = try GGUFWriter(metadata: [:], shards: shards, fileName: "m.gguf") }
    #expect(code == (count > 65535 ? "ggufSplitCount" : nil))
  }

  @Test("Rows of packed tensors, kept, are written as their bytes", arguments: BlockFormat.allCases)
  func keptRows(format: BlockFormat) throws {
    let row = 2 * format.elementsPerBlock
    let file = try written([:], [blocks("q", format, [6, row]), ascending("t", [2])])
    let weight = file.weight(file.tensors[0])
    #expect(weight.shape == [6, 2, format.bytesPerBlock])
    let kept = weight.keeping([4, 1], axis: 0).keeping([1], axis: 1)
    let again = try written(
      [:],
      [
        GGUFWriter.Tensor(
          name: "q", type: GGUFTensorType(format), shape: [2, format.elementsPerBlock], weight: kept)
      ])
    let all = try weight.bytes()
    let size = format.bytesPerBlock
    var expected: [UInt8] = []
    for block in [9, 3] { expected += all[block * size..<(block + 1) * size] }
    #expect(try again.source.bytes(again.tensors[0].byteRange) == expected)
    #expect(again.tensors[0].extents == [format.elementsPerBlock, 2])
  }

  @Test(
    "Every block format whose byte order is defined comes through a big-endian file",
    arguments: [
      .q4_0, .q8_0, .q1_0, .q4_k, .q6_k, .tq2_0, .mxfp4, .nvfp4,
    ] as [BlockFormat])
  func bigEndian(format: BlockFormat) throws {
    let tensor = blocks("q", format, [3, 2 * format.elementsPerBlock])
    var options = GGUFWriter.Options()
    options.byteOrder = .big
    let file = try written(["k": .uint32(7)], [tensor, ascending("t", [2, 3])], options)
    #expect(file.byteOrder == .big && file.metadata["k"] == .uint32(7))
    #expect(try file.weight(file.tensors[0]).bytes() == tensor.weight.bytes())
    #expect(try file.weight(file.tensors[1]).floats() == [0, 1, 2, 3, 4, 5])
    #expect(try file.weight(file.tensors[1]).transposed().keeping([2], axis: 0).floats() == [2, 5])
  }

  @Test("Sizes are known before, and progress ends at them")
  func sizes() throws {
    var options = GGUFWriter.Options()
    options.maximumShardSize = 5000
    let writer = try GGUFWriter(
      metadata: ["general.architecture": .string("x")], tensors: (0..<9).map { ascending("t\($0)", [40, 10]) },
      fileName: "m.gguf", options: options)
    #expect(writer.files.count == 3 && writer.files.map { $0.tensors.count } == [3, 3, 3])
    let folder = try TemporaryFolder()
    let output = try writer.write(into: folder)
    for file in writer.files { #expect(try FileSource(path: Paths.join(output, file.name)).size == file.size) }
    #expect(writer.totalSize == writer.files.reduce(0) { $0 + $1.size })
    #expect(
      writer.files[0].metadata.keys == ["general.architecture", "split.no", "split.count", "split.tensors.count"])
    #expect(writer.files[2].metadata.keys == ["split.no", "split.count", "split.tensors.count"])
    // The parts written as one lose the keys of the split.
    let model = try GGUFCheckpoint(at: output)
    let whole = try written(model.metadata, model.files.flatMap(\.copies))
    #expect(whole.metadata.keys == ["general.architecture"] && whole.tensors.count == 9)
  }

  @Test("Parts after the first say an alignment that is not the default")
  func alignmentOfParts() throws {
    var options = GGUFWriter.Options()
    options.maximumShardSize = 10
    let writer = try GGUFWriter(
      metadata: ["general.alignment": .uint32(64)],
      tensors: [ascending("t", [3]), ascending("u", [20]), ascending("v", [2])],
      fileName: "m.gguf", options: options)
    let folder = try TemporaryFolder()
    let model = try GGUFCheckpoint(at: writer.write(into: folder))
    #expect(model.files.map(\.alignment) == [64, 64, 64])
    #expect(model.files.flatMap(\.tensors).map(\.name) == ["t", "u", "v"])
  }
}
