import ModelGraph
import PollardBase
import TensorStorage

/// A model as it is to be written.
public struct ExportedModel: Sendable {
  /// One tensor to write.
  public struct Tensor: Sendable {
    /// The name, as the input spelled it.
    public var name: String
    /// The content, in the input's element type.
    public var weight: Weight
    /// The file of the input that held it; nil for a single file.
    public var file: String?
  }

  /// The configuration: only keys that change are touched.
  public var config: JSONValue
  /// The tensors in the input's order.
  public var tensors: [Tensor]
}

extension ImportedModel {
  /// The same model with nothing changed.
  public func exported() throws(FormatError) -> ExportedModel {
    try exported(graph: graph, layers: layers, keptHeads: layers.map { Array(0..<$0.heads) })
  }

  /// Turns a changed graph back into a configuration and named tensors.
  ///
  /// Each tensor is its initializer with the import's steps undone, so what was only cut is a slice of the stored bytes
  /// again. Prune pairs come out as the plain parameter.
  ///
  /// - Parameters:
  ///   - graph: this model's graph after a pass that kept the initializers' names.
  ///   - layers: the counts of every layer now.
  ///   - keptHeads: for each layer the query heads that are left, ascending, numbered as in this model.
  ///   - carrier: the `model_type` of another class that computes the same, or nil for the model's own.
  /// - Throws: `missingInitializer` when the graph lost a parameter; `cannotExpress` when the class cannot hold the
  ///   result.
  /// - Complexity: O(number of tensors).
  public func exported(
    graph: Graph, layers: [LayerSummary], keptHeads: [[Int]], carrier: String? = nil
  ) throws(FormatError) -> ExportedModel {
    guard layers.count == self.layers.count, keptHeads.count == layers.count else {
      throw FormatError(
        .cannotExpress, file: configPath, expected: "\(self.layers.count) layers", found: "\(layers.count)")
    }
    for (layer, kept) in zip(self.layers, keptHeads) {
      let isAscending = zip(kept, kept.dropFirst()).allSatisfy { $0 < $1 }
      precondition(
        isAscending && kept.allSatisfy { (0..<layer.heads).contains($0) }, "kept heads ascend and exist in the model")
    }
    let before = zip(self.layers, originalHeads).map { LayerDescription(summary: $0, originalHeads: $1) }
    let change = ConfigurationChange(
      config: config, file: configPath, task: task, before: before, after: layers, keptHeads: keptHeads,
      carrier: carrier)
    let edited = try architecture.edited(change)
    return ExportedModel(config: edited, tensors: try exportedTensors(graph))
  }

  private func exportedTensors(_ graph: Graph) throws(FormatError) -> [ExportedModel.Tensor] {
    var initializers: [String: Weight] = [:]
    for value in graph.values { if let weight = value.initializer { initializers[value.name] = weight } }
    var weights: [Int: Weight] = [:]
    for tensor in passedThrough { weights[tensor.position] = tensor.weight }
    for binding in bindings {
      guard let weight = initializers[binding.initializer] else {
        throw FormatError(.missingInitializer, subject: .tensor(binding.tensor))
      }
      guard weight.type == .f32 || weight.type == binding.storedType, !binding.isTransposed || weight.shape.rank == 2
      else {
        throw FormatError(
          .missingInitializer, subject: .tensor(binding.tensor), expected: "an initializer like the imported one",
          found: "\(weight.type)\(weight.shape)")
      }
      var stored = binding.isTransposed ? weight.transposed() : weight
      if let row = binding.row {
        // Rows that are gone take the last names with them.
        guard stored.shape.rank == 2, row < stored.shape[0] else { continue }
        stored = stored.keeping([row], axis: 0).reshaped([stored.shape[1]])
      }
      if binding.addend != 0 { stored = stored.adding(.constant(-binding.addend, rank: stored.shape.rank)) }
      weights[binding.position] = stored.cast(to: binding.storedType)
    }
    var result: [ExportedModel.Tensor] = []
    for (position, tensor) in tensors.enumerated() {
      guard let weight = weights[position] else { continue }
      result.append(ExportedModel.Tensor(name: tensor.name, weight: weight, file: tensor.file))
    }
    return result
  }
}
