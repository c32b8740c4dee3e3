import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ImportedONNXModel {
  /// One tensor as the file lists it.
  public struct TensorLine: Sendable {
    /// The name.
    public var name: String
    /// The element type.
    public var type: String
    /// The extents.
    public var extents: [Int]
    /// The bytes it takes.
    public var byteCount: Int
    /// The file that holds it.
    public var file: String
  }

  /// The named tensors of the file.
  public var tensors: [TensorLine] {
    file.graph.initializers.compactMap { tensor in
      guard let name = tensor.name, let form = try? tensor.form() else { return nil }
      let location = tensor.externalData.first { $0.key == "location" }?.value?.description
      return TensorLine(
        name: name.description, type: form.type.elementType?.name ?? "\(form.type)", extents: form.shape.extents,
        byteCount: form.byteCount ?? 0, file: location ?? Paths.lastComponent(file.source.path))
    }
  }

  /// Elements of all floating-point tensors that are read; one read at several places counts once.
  public var parameterCount: Int { parameterCount(of: graph) }

  /// The same for a graph after a pass.
  public func parameterCount(of graph: Graph) -> Int {
    var seen: Set<StructuralIdentity> = []
    var total = 0
    for id in graph.initializers {
      guard let weight = graph[id].initializer, weight.type.isFloatingPoint,
        seen.insert(weight.structuralIdentity).inserted
      else { continue }
      total += weight.shape.elementCount
    }
    return total
  }

  /// The model's file and the files of its external data.
  public var files: [FileSource] { [file.source] + file.externalFiles.openFiles }
  /// Bytes of all of them.
  public var byteCount: Int { files.reduce(0) { $0 + $1.size } }
  /// The paths of the files of external data.
  public var externalPaths: [String] { file.externalFiles.openFiles.map(\.path) }
  /// The entries of `metadata_props`.
  public var metadata: [String: String] {
    var result: [String: String] = [:]
    for entry in file.model.metadata { result[entry.key?.description ?? ""] = entry.value?.description ?? "" }
    return result
  }
}
