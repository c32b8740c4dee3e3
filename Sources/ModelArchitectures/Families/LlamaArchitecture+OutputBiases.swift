import ModelGraph
import PollardBase
import TensorStorage

extension ImportedModel {
  /// The same function as a class that adds a bias to the output projection of attention: its configuration, and the tensors with zeros as
  /// that bias in every layer.
  ///
  /// Nil where the class has such a bias already, or where no class is known that computes the same and has one.
  ///
  /// - Throws: `cannotExpress` as exporting does.
  /// - Complexity: O(number of tensors); no weight is read.
  public func withOutputBiases() throws(FormatError) -> (config: JSONValue, tensors: [NamedTensor])? {
    let carrier = "seed_oss"
    guard let family = architecture as? LlamaArchitecture else { return nil }
    let reader = try ConfigurationReader(config, file: configPath)
    guard family.carriers(reader).contains(carrier), try !family.sizes(reader).outputBias else { return nil }
    let exported = try exported(
      graph: graph, layers: layers, keptHeads: layers.map { Array(0..<$0.heads) }, carrier: carrier)
    var editor = ConfigurationEditor(exported.config)
    editor.set("attention_out_bias", true)
    var tensors: [NamedTensor] = []
    for tensor in exported.tensors {
      tensors.append(NamedTensor(name: tensor.name, weight: tensor.weight, file: tensor.file))
      guard tensor.name.hasSuffix(Self.outputMatrix), tensor.weight.shape.rank == 2 else { continue }
      tensors.append(
        NamedTensor(
          name: String(tensor.name.dropLast("weight".count)) + "bias",
          weight: .zeros(type: tensor.weight.type, shape: [tensor.weight.shape[0]]), file: tensor.file))
    }
    return (editor.config, tensors)
  }

  /// Whether the model adds a bias to the output projection of attention, in the family's own names.
  public var hasOutputBiases: Bool {
    bindings.contains { $0.tensor.hasSuffix(Self.outputMatrix.replacingWeight) }
  }

  private static let outputMatrix = ".self_attn.o_proj.weight"
}

extension String {
  /// A matrix's name turned into its bias's.
  fileprivate var replacingWeight: String { hasSuffix("weight") ? String(dropLast("weight".count)) + "bias" : self }
}
