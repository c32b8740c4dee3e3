import GraphExecution
import ModelGraph

/// How far outputs are from reference outputs; see `ImportanceMetric.ablation`.
struct OutputChange {
  private let reference: [ValueID: [Float]]
  private let valid: [ValueID: [Bool]]

  /// - Parameter reference: the outputs that count, as the whole model gives them.
  init(_ graph: Graph, inputs: [String: Tensor], reference outputs: [ValueID: Tensor]) {
    let rows = ValidRows(graph, inputs: inputs)
    var reference: [ValueID: [Float]] = [:]
    var valid: [ValueID: [Bool]] = [:]
    for (id, tensor) in outputs {
      reference[id] = tensor.floats()
      let count = tensor.extents.prefix(2).reduce(1, *)
      if tensor.rank >= 2 { valid[id] = rows.rows(of: graph[id], extents: tensor.extents, count: count) }
    }
    self.reference = reference
    self.valid = valid
  }

  /// The root of the mean over outputs of the squared relative distance.
  func change(to outputs: [ValueID: Tensor]) -> Double {
    var total = 0.0
    var count = 0
    for id in reference.keys.sorted() {
      guard let expected = reference[id], let found = outputs[id]?.floats(), found.count == expected.count else {
        return .nan
      }
      count += 1
      let rows = valid[id]
      let width = rows.map { expected.count / max($0.count, 1) } ?? 1
      var difference = 0.0
      var size = 0.0
      for index in expected.indices where rows?[index / width] ?? true {
        let (a, b) = (Double(expected[index]), Double(found[index]))
        difference += (b - a) * (b - a)
        size += a * a
      }
      if difference == 0 { continue }
      total += difference / size
    }
    return count == 0 ? 0 : (total / Double(count)).squareRoot()
  }
}
