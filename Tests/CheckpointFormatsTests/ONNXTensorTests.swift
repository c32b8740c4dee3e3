import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("ONNX tensors")
struct ONNXTensorTests {
  @Test("Every type in every encoding has the reference's elements")
  func reference() throws {
    var compared = 0
    for row in try onnxRows("tensors.txt") {
      try #require(row.count == 5)
      let tensor = try ONNXDecoder.decode(ONNXTensor.self, from: ONNXBytes(bytes(hexadecimal: row[1])))
      let form = try tensor.form()
      #expect("\(form.type.rawValue)" == row[2], "\(row[0])")
      #expect(form.shape.extents.map(String.init).joined(separator: ",") == (row[3] == "-" ? "" : row[3]), "\(row[0])")
      let expected = try bytes(hexadecimal: row[4])
      #expect(form.byteCount == expected.count, "\(row[0])")
      #expect(try tensor.rawBytes() == expected, "\(row[0])")
      if let type = form.type.elementType, form.shape.byteCount(of: type) == expected.count {
        let weight = try tensor.weight()
        #expect(weight.type == type && weight.shape == form.shape)
        #expect(try weight.bytes() == expected, "\(row[0])")
        compared += 1
      }
    }
    #expect(compared > 200)
  }

  @Test("Narrow integers are unpacked from the lowest bits on")
  func unpacked() throws {
    func unpack(_ type: ONNXDataType, _ count: Int64, _ raw: [UInt8]) throws -> [UInt8] {
      var tensor = ONNXTensor()
      (tensor.dataType, tensor.dimensions, tensor.rawData) = (type.rawValue, [count], .bytes(raw))
      return try tensor.unpackedWeight().bytes()
    }
    #expect(try unpack(.uint4, 3, [0x81, 0x0F]) == [1, 8, 15])
    #expect(try unpack(.int4, 3, [0x81, 0x0F]) == [1, 0xF8, 0xFF])
    #expect(try unpack(.uint2, 5, [0b11_10_01_00, 0b10]) == [0, 1, 2, 3, 2])
    #expect(try unpack(.int2, 5, [0b11_10_01_00, 0b10]) == [0, 1, 0xFE, 0xFF, 0xFE])
    #expect(codeThrown { _ = try unpack(.uint8, 1, [1]) } == "tensorMalformed")
    #expect(codeThrown { _ = try unpack(.uint4, 3, [1]) } == "sizeMismatch")
  }

  @Test("The positions of a sparse tensor are counted row-major, and must ascend inside it")
  func sparse() throws {
    func positions(_ indices: [Int64], _ shape: Shape, dense: [Int64] = [2, 3]) throws -> [Int] {
      var sparse = ONNXSparseTensor()
      sparse.values = ONNXTensor("s", .floats([1, 2], shape: [2]))
      sparse.indices = ONNXTensor(nil, .integers(indices, shape: shape))
      sparse.dimensions = dense
      return try sparse.elements().positions
    }
    #expect(try positions([1, 5], [2]) == [1, 5])
    #expect(try positions([0, 1, 1, 2], [2, 2]) == [1, 5])
    #expect(codeThrown { _ = try positions([5, 1], [2]) } == "tensorMalformed")
    #expect(codeThrown { _ = try positions([1, 1], [2]) } == "tensorMalformed")
    #expect(codeThrown { _ = try positions([1, 6], [2]) } == "tensorMalformed")
    #expect(codeThrown { _ = try positions([-1, 5], [2]) } == "tensorMalformed")
    #expect(codeThrown { _ = try positions([0, 1, 1, 3], [2, 2]) } == "tensorMalformed")
    #expect(codeThrown { _ = try positions([0, 1, 2], [3]) } == "tensorMalformed")
    #expect(codeThrown { _ = try positions([0, 1], [2], dense: [1 << 40, 1 << 40]) } == "shapeOverflow")
    #expect(codeThrown { _ = try ONNXSparseTensor().elements() } == "tensorMalformed")
  }

  @Test("Strings are byte strings")
  func strings() throws {
    var tensor = ONNXTensor()
    tensor.dataType = ONNXDataType.string.rawValue
    tensor.dimensions = [2]
    tensor.stringData = ["a", ByteString([0xFF])]
    #expect(try tensor.strings() == ["a", ByteString([0xFF])])
    tensor.dimensions = [3]
    #expect(codeThrown { _ = try tensor.strings() } == "sizeMismatch")
    #expect(codeThrown { _ = try tensor.weight() } == "tensorMalformed")
  }

  @Test("A tensor that contradicts itself is refused", arguments: ContradictoryTensor.all)
  func contradictions(_ contradictory: ContradictoryTensor) {
    var tensor = ONNXTensor("w", .floats([1, 2, 3, 4], shape: [2, 2]))
    contradictory.change(&tensor)
    #expect(codeThrown { _ = try tensor.weight() } == contradictory.code)
  }

  @Test("A tensor's data are where the file has them, not in memory")
  func ranges() throws {
    let folder = try TemporaryFolder()
    let raw = ONNXTensor("raw", .floats([1, 2], shape: [2]))
    var typed = ONNXTensor("typed", .floats([], shape: [0]))
    typed.dimensions = [2]
    typed.rawData = nil
    typed.floatData = ONNXElements([3, 4])
    let bytes = try onnxModel(onnxGraph(outputs: ["x"], initializers: [raw, typed])).bytes()
    try AtomicFile.write(bytes, to: folder("model.onnx"))
    let file = try ONNXFile(path: folder("model.onnx"))
    for (tensor, values) in zip(file.graph.initializers, [[Float(1), 2], [3, 4]]) {
      let weight = try file.weight(of: tensor)
      #expect(try #require(weight.sourceSlice).file.identity == file.source.identity)
      #expect(try weight.floats() == values)
    }
  }
}

struct ContradictoryTensor: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let code: String
  let change: @Sendable (inout ONNXTensor) -> Void

  init(_ about: String, _ code: String, _ change: @escaping @Sendable (inout ONNXTensor) -> Void) {
    (testDescription, self.code, self.change) = (about, code, change)
  }

  static let all = [
    Self("no type", "unknownElementType") { $0.dataType = nil },
    Self("a type that is none", "unknownElementType") { $0.dataType = 29 },
    Self("a negative extent", "tensorMalformed") { $0.dimensions = [-2, -2] },
    Self("extents whose product overflows", "shapeOverflow") { $0.dimensions = [1 << 40, 1 << 40] },
    Self("bits that overflow", "shapeOverflow") { $0.dimensions = [1 << 60] },
    Self("too few bytes", "sizeMismatch") { $0.rawData = .bytes([1, 2, 3]) },
    Self("too many bytes", "sizeMismatch") { $0.rawData = .bytes(Array(repeating: 0, count: 17)) },
    Self("no bytes", "sizeMismatch") { $0.rawData = nil },
    Self("a segment", "tensorMalformed") { $0.segment = ONNXTensorSegment() },
    Self("bytes and numbers", "tensorMalformed") { $0.floatData = ONNXElements([1, 2, 3, 4]) },
    Self("numbers of another type", "tensorMalformed") {
      $0.rawData = nil
      $0.int64Data = ONNXElements([1, 2, 3, 4])
    },
    Self("too few numbers", "sizeMismatch") {
      $0.rawData = nil
      $0.floatData = ONNXElements([1, 2, 3])
    },
    Self("too few numbers for pairs", "sizeMismatch") {
      $0.dataType = ONNXDataType.complex64.rawValue
      $0.rawData = nil
      $0.floatData = ONNXElements([1, 2, 3, 4])
    },
    Self("bytes inside and outside", "tensorMalformed") { $0.dataLocation = 1 },
    Self("data outside of a model in memory", "externalDataMissing") {
      $0.rawData = nil
      $0.dataLocation = 1
    },
    Self("strings in raw data", "tensorMalformed") { $0.dataType = ONNXDataType.string.rawValue },
  ]
}
