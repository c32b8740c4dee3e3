import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ImportedONNXModel {
  /// An initializer as the file lists it.
  public struct TensorLine: Sendable {
    /// The name.
    public var name: String
    /// The element type.
    public var type: String
    /// The extents.
    public var extents: [Int]
    /// The bytes it takes; 0 for strings.
    public var byteCount: Int
    /// The name of the file that holds it, relative to the model's folder.
    public var file: String
  }

  /// The initializers in the order of the file, those of branches after those around them.
  public var tensors: [TensorLine] {
    containers.flatMap(\.graph.initializers).compactMap { tensor in
      guard let name = tensor.name, let form = try? tensor.form() else { return nil }
      let location = tensor.isExternal ? tensor.externalData["location"]?.description : nil
      return TensorLine(
        name: name.description, type: form.type.elementType?.name ?? "\(form.type)", extents: form.shape.extents,
        byteCount: form.byteCount ?? 0, file: location ?? Paths.lastComponent(file.source.path))
    }
  }

  /// The number of elements of all initializers of floating-point types; equal ranges of a file count once.
  ///
  /// `Constant` nodes, quantised tensors and sparse ones are not counted.
  public var parameterCount: Int { parameterCount(of: graph) }

  /// The parameters of what would be written for a changed graph, counted in the same way.
  public func parameterCount(of changed: Graph) -> Int {
    var seen: Set<StructuralIdentity> = []
    return initializers(of: changed).filter { $0.type.isFloatingPoint && seen.insert($0.structuralIdentity).inserted }
      .reduce(0) { $0 + $1.shape.elementCount }
  }

  /// The contents of the initializers that would be written for a graph.
  private func initializers(of changed: Graph) -> [Weight] {
    let plan = ONNXConstantPlan(self, changed)
    var result: [Weight] = []
    for case let index? in containers.flatMap(\.initializers) where plan.keeps(index) {
      if let weight = values[index].weight { result.append(weight) }
    }
    for (index, weight) in plan.replaced {
      if case .constant = values[index].provider { continue }
      result.append(weight)
    }
    return result + plan.added.map(\.weight)
  }

  /// The model's file and the files of its external data.
  public var files: [FileSource] { [file.source] + file.externalFiles.openFiles }
  /// Bytes of all of them.
  public var byteCount: Int { files.reduce(0) { $0 + $1.size } }
  /// The paths of the files of external data.
  public var externalPaths: [String] { file.externalFiles.openFiles.map(\.path) }

  /// The entries of `metadata_props`; of entries with one key the first.
  public var metadata: [String: String] {
    Dictionary(
      file.model.metadata.map { (($0.key ?? "").description, ($0.value ?? "").description) },
      uniquingKeysWith: { first, _ in first })
  }
}
