import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage

/// A stored matrix of a layer, whose single weights can be masked.
struct WeightMatrix {
  /// The tensor's name in the file.
  var name: String
  /// Its content as it is stored.
  var weight: Weight
  /// The axis of the stored matrix that products sum over.
  var summedAxis: Int

  /// Reads the matrix in order, whole runs of rows at a time.
  ///
  /// - Parameter multiple: the rows of a run are a multiple of this, except for the last.
  func forEachChunk(
    rowsBy multiple: Int = 1, _ body: (Int, UnsafeBufferPointer<Float>) throws(FormatError) -> Void
  ) throws(FormatError) {
    let (rows, columns) = (weight.shape[0], weight.shape[1])
    guard rows > 0, columns > 0 else { return }
    let source = weight.cast(to: .f32)
    let step = max(1, (1 << 20) / columns / multiple) * multiple
    var scratch = EvaluationScratch()
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(rows, step) * columns)
    defer { buffer.deallocate() }
    for row in stride(from: 0, to: rows, by: step) {
      let count = min(step, rows - row)
      let block = UnsafeMutableBufferPointer(rebasing: buffer[..<(count * columns)])
      try source.readFloats(elements: row * columns..<(row + count) * columns, into: block, scratch: &scratch)
      try body(row, UnsafeBufferPointer(block))
    }
  }
}

extension Model {
  /// The matrices of the layers that products read, in the order of the file; tables, norms and biases are none.
  ///
  /// A matrix belongs to a layer when its name says so, or when it makes or reads units of one.
  func weightMatrices() throws -> [WeightMatrix] {
    let map = try stored.dimensionMap()
    let graph = map.graph
    let uses = graph.uses
    let ids = Dictionary(
      graph.initializers.map { (graph[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
    var ofUnits: Set<ValueID> = []
    for layer in map.layers {
      let sets = [layer.heads.map(UnitSet.heads), layer.neurons.map(UnitSet.single)].compactMap { $0 }
      ofUnits.formUnion(sets.flatMap { map.matrices(of: $0) }.map(\.value))
    }
    var result: [WeightMatrix] = []
    for (name, weight) in try stored.storedTensors() {
      guard weight.shape.rank == 2, weight.type.canBeCast(to: .f32), weight.type.isFloatingPoint,
        LayerLabel(name) != nil || name.hasPrefix("blk.") || ids[name].map(ofUnits.contains) ?? false
      else { continue }
      var axis = 1
      if let id = ids[name], let places = uses[id], let initializer = graph[id].initializer,
        initializer.shape.rank == 2
      {
        guard let place = places.first(where: { Self.products.contains(graph.nodes[$0.node].op.name) }) else {
          continue
        }
        let node = graph.nodes[place.node]
        let isTransposed =
          node.op.name == "Gemm" && node.integer(place.slot == 1 ? "transB" : "transA", default: 0) != 0
        let summed = (place.slot == 1) != isTransposed ? 0 : 1
        if initializer.withoutOuterPermutation.shape == weight.shape {
          axis = initializer.outerPermutation.map { $0[summed] } ?? summed
        }
      }
      result.append(WeightMatrix(name: name, weight: weight, summedAxis: axis))
    }
    return result
  }

  private static let products: Set<String> = ["MatMul", "Gemm", "FusedMatMul", "Attention"]
}
