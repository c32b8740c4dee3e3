import GraphExecution
import ModelGraph

/// Which positions of a value an attention mask of the inputs admits.
///
/// A value belongs to the mask whose declared batch and sequence axes it has, or to the only mask where its extents are that one's, flattened or
/// not; any other is valid everywhere.
struct ValidRows {
  private let masks: [(shape: [Size], extents: [Int], valid: [Bool])]

  init(_ graph: Graph, inputs: [String: Tensor]) {
    masks = graph.inputs.compactMap { id in
      let value = graph[id]
      guard value.name.hasSuffix("attention_mask"), let tensor = inputs[value.name], tensor.rank == 2,
        let shape = value.type?.shape, shape.count == 2
      else { return nil }
      return (shape, tensor.extents, tensor.doubles().map { $0 != 0 })
    }
  }

  /// Which rows of a value count, where it is cut into so many rows of equal length, row-major; nil for all.
  func rows(of value: Value, extents: [Int], count: Int) -> [Bool]? {
    guard let mask = mask(of: value, extents), !mask.isEmpty, count % mask.count == 0 else { return nil }
    let repeats = count / mask.count
    return repeats == 1 ? mask : mask.flatMap { Array(repeating: $0, count: repeats) }
  }

  private func mask(of value: Value, _ extents: [Int]) -> [Bool]? {
    if let shape = value.type?.shape, shape.count == extents.count, shape.count >= 2 {
      for mask in masks where Array(shape.prefix(2)) == mask.shape && Array(extents.prefix(2)) == mask.extents {
        return mask.valid
      }
    }
    guard masks.count == 1, let mask = masks.first else { return nil }
    if extents.count >= 3, Array(extents.prefix(2)) == mask.extents { return mask.valid }
    return extents.count == 2 && extents[0] == mask.valid.count ? mask.valid : nil
  }
}
