import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

private let threads = ThreadPool(threadCount: 2)

@Suite("ONNX writer")
struct ONNXWriterTests {
  private static func weights() -> [Weight] {
    [
      .floats((0..<300).map { Float($0) }, shape: [3, 100]),
      .integers([1, 2, 3], shape: [3]),
      .floats((0..<300_000).map { Float($0 % 977) }, shape: [300, 1000]).transposed(),
      .floats((0..<400).map { -Float($0) }, shape: [400]),
    ]
  }

  private static func model() -> ONNXModel {
    let weights = weights()
    var tensors = weights.enumerated().map { ONNXTensor(ByteString("w\($0.offset)"), $0.element) }
    tensors.append(ONNXTensor("tied", weights[0]))
    let constant = ONNXNode(
      "Constant", inputs: [], outputs: ["c"],
      attributes: [
        ONNXAttribute("value", .tensor(ONNXTensor(nil, .floats(Array(repeating: 1, count: 500), shape: [500]))))
      ])
    return onnxModel(onnxGraph([constant], outputs: ["x"], initializers: tensors))
  }

  private func expectWeights(_ file: ONNXFile) throws {
    for (tensor, weight) in zip(file.graph.initializers, Self.weights() + [Self.weights()[0]]) {
      #expect(try file.weight(of: tensor).bytes() == weight.bytes())
    }
  }

  @Test("Tensors are streamed into the model file")
  func inline() throws {
    let folder = try TemporaryFolder()
    let writer = try ONNXWriter(Self.model(), to: folder("m.onnx"))
    #expect(writer.dataPath == nil && writer.dataByteCount == 0)
    try writer.write(threads: threads)
    #expect(try folder.names == ["m.onnx"])
    #expect(try allBytes(folder("m.onnx")) == Self.model().bytes())
    #expect(try allBytes(folder("m.onnx")).count == writer.modelByteCount)
    try expectWeights(ONNXFile(path: folder("m.onnx")))
  }

  @Test("External tensors are aligned, shared where they are the same, with zeros between")
  func external() throws {
    let folder = try TemporaryFolder()
    var options = ONNXWriter.Options()
    options.placement = .external
    let writer = try ONNXWriter(Self.model(), to: folder("m.onnx"), options: options)
    try writer.write(threads: threads)
    #expect(try folder.names == ["m.onnx", "m.onnx.data"])
    let file = try ONNXFile(path: folder("m.onnx"))
    try expectWeights(file)
    let places = file.graph.initializers.map { [$0.externalData["offset"], $0.externalData["length"]] }
    // 1200 bytes, 24 that stay, 1200000 from the next page on, 1600 from the next multiple of 64 on.
    #expect(places == [["0", "1200"], [nil, nil], ["4096", "1200000"], ["1204096", "1600"], ["0", "1200"]])
    #expect(file.graph.initializers[0].externalData["location"] == "m.onnx.data")
    let data = try allBytes(folder("m.onnx.data"))
    #expect(data.count == 1_205_696 && data.count == writer.dataByteCount)
    #expect(data[1200..<4096].allSatisfy { $0 == 0 })
    #expect(file.graph.nodes[0].attributes[0].tensor?.isExternal == false)
  }

  @Test("External data are carried to another place, inline or not")
  func moved() throws {
    let folder = try TemporaryFolder()
    var options = ONNXWriter.Options()
    options.placement = .external
    try ONNXWriter(Self.model(), to: folder("a.onnx"), options: options).write(threads: threads)
    let first = try ONNXFile(path: folder("a.onnx"))
    try ONNXWriter(first.model, to: folder("b.onnx"), options: options, externalFiles: first.externalFiles)
      .write(threads: threads)
    try expectWeights(ONNXFile(path: folder("b.onnx")))
    #expect(try allBytes(folder("a.onnx.data")) == allBytes(folder("b.onnx.data")))
    try ONNXWriter(first.model, to: folder("c.onnx"), externalFiles: first.externalFiles).write(threads: threads)
    try expectWeights(ONNXFile(path: folder("c.onnx")))
    #expect(try folder.names == ["a.onnx", "a.onnx.data", "b.onnx", "b.onnx.data", "c.onnx"])
  }

  @Test("A model that nobody changed is copied")
  func unchanged() throws {
    let folder = try TemporaryFolder()
    try ONNXWriter(Self.model(), to: folder("a.onnx")).write(threads: threads)
    try ONNXWriter(ONNXFile(path: folder("a.onnx")).model, to: folder("b.onnx")).write(threads: threads)
    #expect(try allBytes(folder("a.onnx")) == allBytes(folder("b.onnx")))
  }

  @Test("Replacing one initializer moves no other byte into memory")
  func replaced() throws {
    let folder = try TemporaryFolder()
    try ONNXWriter(Self.model(), to: folder("a.onnx")).write(threads: threads)
    var model = try ONNXFile(path: folder("a.onnx")).model
    model.graph?.initializers[1].replaceElements(with: .integers([7], shape: [1]))
    let slices = try model.encoded().pieces.filter { if case .slice = $0 { true } else { false } }
    #expect(slices.contains { $0.count >= 1_200_000 })
    try ONNXWriter(model, to: folder("b.onnx")).write(threads: threads)
    let second = try ONNXFile(path: folder("b.onnx"))
    #expect(try second.weight(of: second.graph.initializers[1]).bytes() == [7, 0, 0, 0, 0, 0, 0, 0])
    #expect(try second.weight(of: second.graph.initializers[2]).bytes() == Self.weights()[2].bytes())
  }

  @Test("Automatic placement goes by the bytes of all tensors")
  func automatic() throws {
    let folder = try TemporaryFolder()
    var options = ONNXWriter.Options()
    options.inlineLimit = 1_300_000
    #expect(try ONNXWriter(Self.model(), to: folder("m.onnx"), options: options).dataPath == nil)
    options.inlineLimit = 1_200_000
    #expect(try ONNXWriter(Self.model(), to: folder("m.onnx"), options: options).dataPath == folder("m.onnx.data"))
  }

  @Test("A message of 2 GiB is refused")
  func tooLarge() throws {
    let tensor = ONNXTensor("w", .zeros(type: .f32, shape: [1 << 29]))
    let model = onnxModel(onnxGraph(outputs: ["x"], initializers: [tensor]))
    var options = ONNXWriter.Options()
    options.placement = .inline
    #expect(codeThrown { _ = try ONNXWriter(model, to: "/tmp/none.onnx", options: options) } == "messageTooLarge")
    #expect(try ONNXWriter(model, to: "/tmp/none.onnx").dataByteCount == 1 << 31)
  }

  @Test("Neither file may be an input, nor replace what exists unasked")
  func inputs() throws {
    let folder = try TemporaryFolder()
    var options = ONNXWriter.Options()
    options.placement = .external
    try ONNXWriter(Self.model(), to: folder("a.onnx"), options: options).write(threads: threads)
    let file = try ONNXFile(path: folder("a.onnx"))
    let writer = try ONNXWriter(Self.model(), to: folder("a.onnx"), options: options)
    #expect(codeThrown { try writer.write(threads: threads) } == "outputExists")
    options.isReplacing = true
    let over = try ONNXWriter(file.model, to: folder("a.onnx"), options: options, externalFiles: file.externalFiles)
    #expect(codeThrown { try over.write(threads: threads) } == "outputIsInput")
    try ONNXWriter(Self.model(), to: folder("b.onnx"), options: options).write(threads: threads)
    // Another model whose data file would be this one's.
    try AtomicFile.write(allBytes(folder("b.onnx")), to: folder("c.onnx"))
    var moved = try ONNXFile(path: folder("c.onnx"))
    _ = try moved.weight(of: moved.graph.initializers[0])
    moved.model.producerName = "p"
    let overData = try ONNXWriter(
      moved.model, to: folder("b.onnx"), options: options, externalFiles: moved.externalFiles)
    #expect(codeThrown { try overData.write(threads: threads) } == "outputIsInput")
    #expect(try folder.names == ["a.onnx", "a.onnx.data", "b.onnx", "b.onnx.data", "c.onnx"])
    try expectWeights(ONNXFile(path: folder("a.onnx")))
  }

  @Test("A pair of files is replaced by another")
  func replacedPair() throws {
    let folder = try TemporaryFolder()
    var options = ONNXWriter.Options()
    options.placement = .external
    let other = onnxModel(onnxGraph(outputs: ["x"], initializers: [ONNXTensor("w", .zeros(type: .f32, shape: [999]))]))
    try ONNXWriter(other, to: folder("m.onnx"), options: options).write(threads: threads)
    options.isReplacing = true
    try ONNXWriter(Self.model(), to: folder("m.onnx"), options: options).write(threads: threads)
    #expect(try folder.names == ["m.onnx", "m.onnx.data"])
    try expectWeights(ONNXFile(path: folder("m.onnx")))
  }

  @Test("Nothing is left of an output that fails")
  func failure() throws {
    let folder = try TemporaryFolder()
    try AtomicFile.write(Array(repeating: 1, count: 8192), to: folder("source"))
    let weight = Weight.stored(try FileSource(path: folder("source")), byteOffset: 0, type: .f32, shape: [2048])
    let model = onnxModel(onnxGraph(outputs: ["x"], initializers: [ONNXTensor("w", weight)]))
    var options = ONNXWriter.Options()
    options.placement = .external
    let writer = try ONNXWriter(model, to: folder("m.onnx"), options: options)
    #expect(truncate(folder("source"), 100) == 0)
    #expect(codeThrown { try writer.write(threads: threads) } == "truncated")
    #expect(try folder.names == ["source"])
  }
}
