import ModelArchitectures
import PollardBase
import TensorStorage

/// CoFi's gates, `zs.pt`: numbers that units and whole sub-layers were multiplied by in training.
///
/// | array | shape, axes of 1 counting for nothing | multiplies |
/// |-------|---------------------------------------|------------|
/// | `head_z` | `[layers, heads]` | the context of a head |
/// | `intermediate_z` | `[layers, neurons]` | a neuron's activation |
/// | `head_layer_z` | `[layers]` | what attention adds, its bias with it |
/// | `mlp_z` | `[layers]` | what the feed-forward network adds, its bias with it |
/// | `hidden_z` | `[hidden]` | must be ones: see `hiddenRemedy` |
struct GateConvention {
  static let phrase = "CoFi's gates"

  /// The gates of heads with those of their layer, by layer.
  private(set) var heads: [[Float]?]
  /// The gates of neurons with those of their layer, by layer.
  private(set) var neurons: [[Float]?]
  /// The gates of attention, by layer; ones where nothing is said.
  private(set) var attention: [Float]
  /// The gates of the feed-forward network.
  private(set) var feedForward: [Float]

  private static let names: Set<String> = ["head_z", "intermediate_z", "head_layer_z", "mlp_z"]
  private static let hiddenRemedy =
    "its norms average over the kept channels alone, so zeros in their place are another model; compact what CoFi itself saves"

  /// Whether a file holds gates.
  static func recognizes(_ arrays: MaskArrays) -> Bool { arrays.arrays.contains { names.contains($0.name) } }

  /// Reads gates.
  ///
  /// - Throws: `maskShape`, `maskValue`; `unknownMask` for gates of hidden channels or whole layers that are not all 1.
  init(_ arrays: MaskArrays, layers: [LayerSummary]) throws {
    heads = layers.map { _ in nil }
    neurons = heads
    attention = Array(repeating: 1, count: layers.count)
    feedForward = attention
    for (name, weight) in arrays.arrays {
      guard weight.type.canBeCast(to: .f32), weight.shape.elementCount <= 1 << 28 else {
        throw CompactionError(
          .unknownMask, file: arrays.path, subject: .tensor(name), expected: "numbers", found: "\(weight.type)")
      }
      let values = try weight.cast(to: .f32).floats()
      guard values.allSatisfy(\.isFinite) else {
        throw CompactionError(.maskValue, file: arrays.path, subject: .tensor(name), found: "NaN or infinity")
      }
      guard Self.names.contains(name) else {
        guard values.allSatisfy({ $0 == 1 }) else {
          throw CompactionError(
            .unknownMask, file: arrays.path, subject: .tensor(name), expected: "gates of heads and neurons, or ones",
            found: "gates of \(name == "hidden_z" ? "hidden channels" : "another kind") that are not all 1",
            remedy: name == "hidden_z" ? Self.hiddenRemedy : "whole layers go with --drop-layers")
        }
        continue
      }
      let isOfUnits = name == "head_z" || name == "intermediate_z"
      let counts = layers.map { name == "head_z" ? $0.heads : isOfUnits ? $0.feedForward : 1 }
      guard let width = counts.first, counts.allSatisfy({ $0 == width }), values.count == width * layers.count,
        weight.shape.extents.filter({ $0 != 1 }).count <= 2
      else {
        throw CompactionError(
          .maskShape, file: arrays.path, subject: .tensor(name),
          expected: "[\(layers.count)\(isOfUnits ? ", \(counts.first ?? 0)" : "")], axes of 1 left out",
          found: "\(weight.shape)")
      }
      switch name {
      case "head_layer_z": attention = values
      case "mlp_z": feedForward = values
      default:
        for layer in layers.indices {
          let row = Array(values[layer * width..<(layer + 1) * width])
          if name == "head_z" { heads[layer] = row } else { neurons[layer] = row }
        }
      }
    }
    heads = Self.scaled(heads, by: attention, layers.map(\.heads))
    neurons = Self.scaled(neurons, by: feedForward, layers.map(\.feedForward))
  }

  private static func scaled(_ rows: [[Float]?], by gates: [Float], _ counts: [Int]) -> [[Float]?] {
    rows.indices.map { layer -> [Float]? in
      let gate = gates[layer]
      if gate == 1 { return rows[layer] }
      let row = rows[layer] ?? Array(repeating: Float(1), count: counts[layer])
      return row.map { $0 * gate }
    }
  }

  /// The biases that gates of sub-layers multiply, by the names of the stored tensors.
  ///
  /// - Throws: `unknownMask` where the model's sub-layers are not BERT's.
  func biases(_ tensors: [NamedTensor], path: String) throws -> [String: Weight] {
    var result: [String: Weight] = [:]
    for (gates, suffix, gate) in [
      (attention, "attention.output.dense.bias", "head_layer_z"), (feedForward, "output.dense.bias", "mlp_z"),
    ] {
      for (layer, value) in gates.enumerated() where value != 1 {
        let name = "encoder.layer.\(layer).\(suffix)"
        let found = tensors.first { tensor in
          let stored = tensor.name.hasSuffix("_orig") ? String(tensor.name.dropLast(5)) : tensor.name
          return stored == name || stored.hasSuffix("." + name)
        }
        guard let tensor = found, tensor.weight.shape.rank == 1, tensor.weight.type.isFloatingPoint
        else {
          throw CompactionError(
            .unknownMask, file: path, subject: .tensor(gate), expected: "a model whose layers are called as BERT's",
            found: "no tensor \(name)")
        }
        result[tensor.name] = .floats([value], shape: [1])
      }
    }
    return result
  }

  /// A sentence about sub-layers that are gone altogether; nil where there is none.
  var note: String? {
    var gone: [String] = []
    for (name, gates) in [("attention", attention), ("the feed-forward network", feedForward)] {
      let layers = gates.indices.filter { gates[$0] == 0 }
      if !layers.isEmpty { gone.append("\(name) of \(layers.count == 1 ? "layer" : "layers") \(humanIndices(layers))") }
    }
    if gone.isEmpty { return nil }
    return gone.joined(separator: " and ")
      + " adds nothing, bias included; the norm after it stays, which CoFi's own model leaves out there"
  }
}
