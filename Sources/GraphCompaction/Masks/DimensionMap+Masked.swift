import ModelGraph
import PollardBase

extension DimensionMap {
  /// The masked model: the weights that read declared units are zero, those that read scaled ones are multiplied.
  ///
  /// - Parameters:
  ///   - wishes: what is asked of each layer.
  ///   - others: the units of each of the map's other dimensions that are to go.
  /// - Throws: as `CompactionPlan.apply(to:fill:)`.
  package func maskedGraph(_ wishes: [LayerWish], others wanted: [Set<Int>]) throws(CompactionError) -> Graph {
    let layers = zip(layers, wishes).map { units, wish in
      LayerPlan(
        index: units.index,
        heads: units.heads.map {
          HeadPlan(
            units: UnitPlan(
              before: $0.count, kept: Array(0..<$0.count), padded: wish.heads.sorted(), rescaled: wish.headFactors),
            groupsBefore: $0.groupCount)
        },
        neurons: units.neurons.map {
          UnitPlan(
            before: $0.size, kept: Array(0..<$0.size), padded: wish.neurons.sorted(), rescaled: wish.neuronFactors)
        })
    }
    let dimensions = zip(others, wanted).map { other, off in
      DimensionPlan(
        name: other.name, kind: other.dimension.kind,
        units: UnitPlan(before: other.dimension.size, kept: Array(0..<other.dimension.size), padded: off.sorted()))
    }
    return try CompactionPlan(layers: layers, dimensions: dimensions).apply(to: self, fill: .readers)
  }
}
