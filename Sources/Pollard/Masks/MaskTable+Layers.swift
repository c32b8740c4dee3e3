import ModelArchitectures

extension MaskTable {
  /// The units a mask declares off, and those it scales, layer by layer; a key/value head speaks for all its query heads.
  func layerMasks(
    _ layers: [LayerSummary]
  ) -> [(heads: Set<Int>, neurons: Set<Int>, headFactors: [Int: Float], neuronFactors: [Int: Float])] {
    layers.indices.map { index in
      let layer = layers[index]
      var factors = heads[index] ?? Array(repeating: 1, count: layer.heads)
      let ratio = max(1, layer.heads / max(1, layer.keyValueHeads))
      for (group, value) in (groups[index] ?? []).enumerated() where value != 1 {
        for head in group * ratio..<(group + 1) * ratio { factors[head] *= value }
      }
      let neurons = feedForward[index] ?? []
      func split(_ list: [Float]) -> (Set<Int>, [Int: Float]) {
        var scaled: [Int: Float] = [:]
        for (unit, value) in list.enumerated() where value != 0 && value != 1 { scaled[unit] = value }
        return (Set(list.indices.filter { list[$0] == 0 }), scaled)
      }
      let (goneHeads, headFactors) = split(factors)
      let (goneNeurons, neuronFactors) = split(neurons)
      return (goneHeads, goneNeurons, headFactors, neuronFactors)
    }
  }
}
