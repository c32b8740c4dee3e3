import GraphCompaction
import PollardBase

extension CompactionReport {
  /// Sentences about layers and parts of layers that are gone, and about those that add nothing and stay.
  var layerLines: [String] {
    var lines: [String] = []
    if !droppedLayers.isEmpty {
      lines.append("  dropped: \(layers(droppedLayers)), as asked for; the others are numbered anew")
    }
    if !deadLayers.isEmpty {
      lines.append(
        "  dead: \(layers(deadLayers)), which \(deadLayers.count == 1 ? "adds" : "add") nothing for any input; removed")
    }
    let single = removals.parts.filter { part in
      !deadLayers.contains(part.layer)
    }
    if !single.isEmpty {
      lines.append("  dead: \(single.map(\.text).joined(separator: ", ")), which add nothing for any input; removed")
    }
    for layer in plan.layers {
      if let heads = layer.heads?.units, heads.isFillAlone {
        lines.append(stays(layer.index, "attention", heads, "head"))
      }
      if let neurons = layer.neurons, neurons.isFillAlone {
        lines.append(stays(layer.index, "feed-forward network", neurons, "neuron"))
      }
    }
    return lines
  }

  private func layers(_ numbers: [Int]) -> String {
    "\(numbers.count == 1 ? "layer" : "layers") \(humanIndices(numbers))"
  }

  private func stays(_ layer: Int, _ part: String, _ units: UnitPlan, _ unit: String) -> String {
    let count = units.after == 1 ? "one \(unit) stays" : "\(units.after) \(unit)s stay"
    return
      "  idle: the \(part) of layer \(layer) keeps none of its \(unit)s; \(count) as fill, which the layer cannot do without"
  }
}

extension UnitPlan {
  /// Whether all units asked to go and those that stay are fill.
  fileprivate var isFillAlone: Bool { !padded.isEmpty && padded == kept }
}
