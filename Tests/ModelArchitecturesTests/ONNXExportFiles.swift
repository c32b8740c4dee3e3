import CheckpointFormats
import ModelArchitectures
import ModelGraph
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

/// Writes the golden models as ONNX files for `tools/onnx-export-check`, which asks for it through the environment.
@Suite("Golden models as ONNX files for other tools")
struct ONNXExportFiles {
  static let folder = getenv("POLLARD_ONNX_EXPORTS").flatMap { String(validatingCString: $0) }
  static let checkpoint = getenv("POLLARD_ONNX_CHECKPOINT").flatMap { String(validatingCString: $0) }
  static let operatorSets =
    getenv("POLLARD_ONNX_OPSETS").flatMap { String(validatingCString: $0) }?.split(separator: ",").compactMap {
      Int($0)
    }
    ?? [13, 17, 18, 20, 23]
  static let types: [ElementType?] =
    getenv("POLLARD_ONNX_TYPES").flatMap { String(validatingCString: $0) }?.split(separator: ",").map {
      ElementType(name: $0.uppercased())
    } ?? [nil]

  @Test(
    "writes every model in every operator set",
    .enabled(if: folder != nil && checkpoint == nil),
    arguments: GoldenCase.all.filter { $0.path("masked") != nil && $0.path("expected") != nil })
  func writes(_ entry: GoldenCase) throws {
    try write(HuggingFaceFolder(at: #require(entry.path("masked"))).model(), named: entry.name)
  }

  @Test("writes a model named in the environment", .enabled(if: folder != nil && checkpoint != nil))
  func writesOne() throws {
    try write(HuggingFaceFolder(at: #require(Self.checkpoint)).model(), named: "model")
  }

  private func write(_ model: ImportedModel, named name: String) throws {
    let folder = try #require(Self.folder)
    for operatorSet in Self.operatorSets {
      for type in Self.types {
        var options = ONNXExport.Options()
        options.operatorSet = operatorSet
        options.type = type
        if type == .bf16, operatorSet < 13 { continue }
        let export = try ONNXExport(model, options: options)
        var writing = ONNXWriter.Options()
        writing.isReplacing = true
        let path = Paths.join(folder, "\(name)@\(operatorSet)@\(type.map(\.name) ?? "stored").onnx")
        try ONNXWriter(export.model, to: path, options: writing).write(threads: ThreadPool(threadCount: 2))
      }
    }
  }
}
