import CheckpointFormats
import PollardBase
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The folder of the ONNX backend tests, which `tools/peers backend` prints.
private let backendData = getenv("POLLARD_BACKEND_DATA").flatMap { String(validatingCString: $0) }

@Suite("ONNX backend tests", .enabled(if: backendData != nil, "POLLARD_BACKEND_DATA names no folder"))
struct ONNXBackendTests {
  @Test("Models, inputs and outputs are written back byte for byte, also from their fields alone")
  func roundTrip() throws {
    let root = try #require(backendData)
    var (models, data) = (0, 0)
    for folder in try foldersWithModels(below: root) {
      let path = Paths.join(folder, "model.onnx")
      let bytes = try allBytes(path)
      let model = try ONNXModel(decoding: ONNXBytes(bytes))
      try expectSame(model, bytes, path)
      try model.checkStructure()
      models += 1
      let graph = try #require(model.graph)
      for set in try Directories.names(in: folder) where set.hasPrefix("test_data_set_") {
        for name in try Directories.names(in: Paths.join(folder, set)) where name.hasSuffix(".pb") {
          try checkData(Paths.join(Paths.join(folder, set), name), name, graph)
          data += 1
        }
      }
    }
    print("ONNX backend tests: \(models) models and \(data) inputs and outputs are written back byte for byte")
    #expect(models > 1700)
  }

  /// Inputs and outputs have no type of their own: the model says whether they are tensors.
  private func checkData(_ path: String, _ name: String, _ graph: ONNXGraph) throws {
    let values = name.hasPrefix("input") ? graph.inputs : graph.outputs
    let digits = name.split(separator: "_").last?.split(separator: ".").first
    let index = try #require(digits.flatMap { Int($0) })
    let bytes = try allBytes(path)
    let source = ONNXBytes(bytes)
    let type = values.indices.contains(index) ? values[index].type : nil
    if type?.sequence != nil {
      try expectSame(ONNXDecoder.decode(ONNXSequence.self, from: source), bytes, path)
    } else if type?.optional != nil {
      try expectSame(ONNXDecoder.decode(ONNXOptional.self, from: source), bytes, path)
    } else {
      try expectSame(ONNXDecoder.decode(ONNXTensor.self, from: source), bytes, path)
    }
  }

  private func expectSame<Message: ONNXMessage>(_ message: Message, _ bytes: [UInt8], _ path: String) throws {
    #expect(try ONNXEncoding(message).bytes() == bytes, "\(path)")
    #expect(try ONNXEncoding(message, reuse: .payloads).bytes() == bytes, "\(path), from its fields")
  }

  private func foldersWithModels(below folder: String) throws -> [String] {
    let names = try Directories.names(in: folder)
    if names.contains("model.onnx") { return [folder] }
    return try names.map { Paths.join(folder, $0) }.filter { Directories.kind(of: $0) == .directory }
      .flatMap(foldersWithModels)
  }
}
