import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("ONNX models under random input")
struct ONNXPropertyTests {
  private static func model() throws -> [UInt8] {
    let branch = onnxGraph(inputs: [], [ONNXNode("Neg", inputs: ["x"], outputs: ["b"])], outputs: ["b"])
    var typed = ONNXTensor()
    (typed.name, typed.dataType, typed.dimensions) = ("h", ONNXDataType.float16.rawValue, [2])
    typed.int32Data = ONNXElements([15360, 16384])
    let nodes = [
      ONNXNode(
        "If", inputs: ["x"], outputs: ["i"],
        attributes: [ONNXAttribute("then_branch", .graph(branch)), ONNXAttribute("else_branch", .graph(branch))]),
      ONNXNode("Cast", inputs: ["h"], outputs: ["f"], attributes: [ONNXAttribute("to", .integer(1))]),
      ONNXNode(
        "Clip", inputs: ["f", "", "w"], outputs: ["y"],
        attributes: [
          ONNXAttribute("a", .floats([1.5])), ONNXAttribute("b", .integers([-1, 2])), ONNXAttribute("c", .string("s")),
        ]),
    ]
    let tensors = [ONNXTensor("w", .floats([1, 2, 3], shape: [3])), typed]
    return try onnxModel(onnxGraph(nodes, initializers: tensors)).bytes()
  }

  @Test("No mutation of a valid model traps")
  func mutations() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed of ONNX mutations: \(seed)")
    var random = SeededGenerator(seed: seed)
    let original = try Self.model()
    #expect(original.withUnsafeBytes { fuzzONNX($0) })
    let pieces: [[UInt8]] = [
      [0x80], Array(repeating: 0xFF, count: 9), [0], [0x0A, 0], [0x13, 0x14], [0x08, 1], [0xFF, 0xFF, 0xFF, 0xFF, 7],
    ]
    var accepted = 0
    for _ in 0..<10_000 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.remove(at: position)
        case 3: bytes.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: position)
        case 4: bytes.removeSubrange(position...)
        default: bytes.removeSubrange(position..<min(bytes.count, position + 4))
        }
      }
      if bytes.withUnsafeBytes({ fuzzONNX($0) }) { accepted += 1 }
    }
    // Changes in names that nothing else uses and in data leave the model valid, so some must pass.
    #expect(accepted > 0 && accepted < 10_000, "seed \(seed)")
  }

  @Test("The models of the golden set are written back byte for byte, and every tensor has its bytes")
  func goldenModels() throws {
    let root = Paths.join(golden, "onnx")
    var count = 0
    for folder in try Directories.names(in: root).map({ Paths.join(root, $0) })
    where Directories.kind(of: folder) == .directory {
      for name in try Directories.names(in: folder) where name.hasSuffix(".onnx") {
        let path = Paths.join(folder, name)
        let file = try ONNXFile(path: path)
        let bytes = try allBytes(path)
        #expect(try file.model.bytes() == bytes, "\(path)")
        #expect(try file.model.encoded(reuse: .payloads).bytes() == bytes, "\(path), from its fields")
        for tensor in file.graph.initializers where try tensor.form().byteCount != nil {
          #expect(try file.weight(of: tensor).byteCount == tensor.form().byteCount, "\(path)")
        }
        count += 1
      }
    }
    #expect(count > 0)
  }
}
