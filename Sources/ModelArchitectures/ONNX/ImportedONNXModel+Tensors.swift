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

  /// The number of elements of all weights.
  ///
  /// Weights are initializers of floating-point types and matrices of 8-bit integers, and matrices in `Constant` nodes; scales and zero
  /// points of quantised ones are not counted, by the names that ONNX Runtime gives them. A `MatMulNBits` counts the elements of the
  /// matrix that it unpacks. Equal ranges of a file count once.
  public var parameterCount: Int { parameterCount(of: graph) }

  /// The parameters of what would be written for a changed graph, counted in the same way.
  public func parameterCount(of changed: Graph) -> Int {
    var packed: Set<ValueID> = []
    var total = 0
    for node in changed.nodes where node.op == OperatorName("MatMulNBits", domain: "com.microsoft") {
      packed.formUnion(node.inputs.dropFirst().prefix(3).compactMap { $0 })
      let (product, overflow) = node.integer("N", default: 0).multipliedReportingOverflow(
        by: node.integer("K", default: 0))
      if !overflow, product > 0 { total = total.addingReportingOverflow(product).overflow ? .max : total + product }
    }
    let plan = ONNXConstantPlan(self, changed)
    var seen: Set<StructuralIdentity> = []
    func count(_ weight: Weight, _ name: String, _ id: ValueID?, isNode: Bool) {
      let isQuantised = weight.type == .i8 || weight.type == .u8
      guard weight.type.isFloatingPoint || (isQuantised && weight.shape.rank > 1), !isNode || weight.shape.rank > 1,
        !name.hasSuffix("_scale"), !name.hasSuffix("_zero_point"), !(id.map(packed.contains) ?? false),
        seen.insert(weight.structuralIdentity).inserted
      else { return }
      let (sum, overflow) = total.addingReportingOverflow(weight.shape.elementCount)
      total = overflow ? .max : sum
    }
    for (index, value) in values.enumerated() {
      let isNode: Bool
      switch value.provider {
      case .initializer: isNode = false
      case .constant: isNode = true
      case .folded:
        // A folded constant that changed is written as an initializer.
        guard plan.replaced[index] != nil else { continue }
        isNode = false
      case .input, .node: continue
      }
      guard let weight = plan.replaced[index] ?? (plan.keeps(index) ? value.weight : nil) else { continue }
      count(weight, value.name.description, value.id, isNode: isNode)
    }
    for (id, weight) in plan.added { count(weight, changed[id].name, id, isNode: false) }
    return total
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
