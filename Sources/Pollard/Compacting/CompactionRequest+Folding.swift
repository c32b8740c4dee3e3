import GraphCompaction

extension CompactionRequest {
  /// The same, with constants folded if that is asked for.
  ///
  /// A graph takes an addition anywhere; a checkpoint has the biases of its class.
  func folding(_ folds: Bool, writing format: ModelFormat) -> CompactionRequest {
    var request = self
    request.folds = folds
    request.addsBiases = format == .onnx
    return request
  }
}

extension CompactionReport {
  /// What folded units are, for people, with the layers.
  var foldExplanation: String {
    let layers = plan.layers.compactMap { layer -> String? in
      let heads = layer.heads?.units.folded.count ?? 0
      let neurons = layer.neurons?.folded.count ?? 0
      let parts = [heads > 0 ? humanCount(heads, "head") : nil, neurons > 0 ? humanCount(neurons, "neuron") : nil]
      let found = parts.compactMap { $0 }
      return found.isEmpty ? nil : "layer \(layer.index): " + found.joined(separator: ", ")
    }
    return
      "  folded: \(layers.joined(separator: "; ")); each added the same vector for every token, which the next bias "
      + "holds now: equal up to the rounding of \(humanCount(plan.folds.count, "bias", "biases"))"
  }

  private func humanCount(_ count: Int, _ name: String, _ plural: String? = nil) -> String {
    "\(count) " + (count == 1 ? name : plural ?? name + "s")
  }
}
