import GraphExecution
import ModelGraph
import PollardBase
import TensorKernels

/// The part of a value of one model that is compared: some rows, and of these some positions.
struct ComparedPart {
  /// The model.
  var side = 0
  var tensor: Tensor?
  /// Positions along the last axis; nil for all.
  var positions: [Int]?
  /// The elements of a row: those of the last axis, or one where batch and sequence are all the axes there are.
  var rowWidth = 1
  /// The rows that are compared; nil for all.
  var rows: [Int]?

  init(side: Int) { self.side = side }

  /// Whether the value has no elements.
  var isEmpty: Bool { tensor?.elementCount == 0 }
  /// The elements of a row that are compared.
  var width: Int { positions?.count ?? rowWidth }

  /// Whether the numbers are doubles.
  private var isDouble: Bool { tensor?.type == .f64 }

  /// How the part differs from another, this being the reference; nil when they have different numbers of elements. Parts that both
  /// are in double precision are compared in it.
  func comparison(with other: ComparedPart, _ pool: ThreadPool) -> (found: BufferComparison, count: Int)? {
    isDouble && other.isDouble
      ? comparison(with: other, as: Double.self, pool) : comparison(with: other, as: Float.self, pool)
  }

  private func comparison<Element: ComparedElement>(
    with other: ComparedPart, as type: Element.Type, _ pool: ThreadPool
  ) -> (found: BufferComparison, count: Int)? {
    withElements(type) { x in
      other.withElements(type) { y in x.count == y.count ? (Element.comparison(x, y, pool), x.count) : nil }
    }
  }

  /// How many elements are compared.
  var count: Int { withElements(Float.self) { $0.count } }

  /// One of the compared elements.
  func number(at index: Int) -> Double {
    isDouble ? withElements(Double.self) { $0[index] } : withElements(Float.self) { Double($0[index]) }
  }

  /// Calls a function with the elements that are compared, row by row.
  private func withElements<Element: ComparedElement, Result>(
    _ type: Element.Type, _ body: (UnsafeBufferPointer<Element>) -> Result
  ) -> Result {
    guard let tensor else { return body(UnsafeBufferPointer(start: nil, count: 0)) }
    if positions == nil, rows == nil, tensor.type == .f32, type == Float.self {
      return tensor.withFloats { body(UnsafeRawBufferPointer($0).assumingMemoryBound(to: Element.self)) }
    }
    let all = Element.all(of: tensor)
    guard positions != nil || rows != nil else { return all.withUnsafeBufferPointer(body) }
    var chosen: [Element] = []
    let rows = rows ?? Array(0..<all.count / rowWidth)
    chosen.reserveCapacity(rows.count * width)
    for row in rows {
      if let positions {
        for position in positions { chosen.append(all[row * rowWidth + position]) }
      } else {
        chosen += all[row * rowWidth..<(row + 1) * rowWidth]
      }
    }
    return chosen.withUnsafeBufferPointer(body)
  }

  /// The share of rows whose largest element is at the same place; nil when there are none.
  static func topShare(_ a: ComparedPart, _ b: ComparedPart, _ pool: ThreadPool) -> Double? {
    a.isDouble && b.isDouble ? topShare(a, b, as: Double.self, pool) : topShare(a, b, as: Float.self, pool)
  }

  private static func topShare<Element: ComparedElement>(
    _ a: ComparedPart, _ b: ComparedPart, as type: Element.Type, _ pool: ThreadPool
  ) -> Double? {
    let width = b.rowWidth
    return a.withElements(type) { x in
      b.withElements(type) { y -> Double? in
        guard width > 0, x.count == y.count, x.count >= width else { return nil }
        let rows = x.count / width
        nonisolated(unsafe) let (first, second) = (x, y)
        nonisolated(unsafe) let agrees = UnsafeMutableBufferPointer<Bool>.allocate(capacity: rows)
        defer { agrees.deallocate() }
        pool.forEach(rows) { row in
          let places = row * width..<(row + 1) * width
          agrees[row] = top(first, places) == top(second, places)
        }
        return Double(agrees.count { $0 }) / Double(rows)
      }
    }
  }

  private static func top<Element: ComparedElement>(_ values: UnsafeBufferPointer<Element>, _ places: Range<Int>) -> Int
  {
    var best = places.lowerBound
    for place in places.dropFirst() where values[best] < values[place] { best = place }
    return best - places.lowerBound
  }
}

/// Chooses what is compared of a value: positions that both models have, at tokens that the attention mask admits.
struct PartSelection {
  /// For each position of each sequence whether the mask admits it; nil without a mask.
  var validity: [Bool]?

  /// The part of a value that is compared.
  func part(
    of tensor: Tensor, _ id: ValueID, in graph: Graph, _ value: ComparedValue, side: Int, isReference: Bool
  ) -> ComparedPart {
    let positions = isReference ? value.positions : value.otherPositions
    var part = ComparedPart(side: side)
    part.tensor = tensor
    part.positions = positions
    // Along an inner axis cut at once, along the last when its rows are chosen.
    if let axis = value.axis, let positions, axis < tensor.rank - 1 {
      part.tensor = tensor.selecting(positions, axis: axis)
      part.positions = nil
    }
    chooseRows(of: &part, id, in: graph)
    return part
  }

  /// Limits a part to the tokens that the mask admits, where the value has the mask's axes.
  func chooseRows(of part: inout ComparedPart, _ id: ValueID, in graph: Graph) {
    guard let tensor = part.tensor else { return }
    part.rowWidth = max(tensor.extents.last ?? 1, 1)
    guard let validity, tensor.rank >= 2, let shape = graph[id].type?.shape, shape.count == tensor.rank,
      let mask = graph.value(named: "attention_mask").flatMap({ graph[$0].type?.shape }), mask.count == 2,
      shape[0] == mask[0], shape[1] == mask[1],
      tensor.extents[0] * tensor.extents[1] == validity.count
    else { return }
    if tensor.rank == 2 { part.rowWidth = 1 }
    if validity.allSatisfy({ $0 }) { return }
    let perPosition = tensor.rank == 2 ? 1 : tensor.extents[2...].dropLast().reduce(1, *)
    part.rows = validity.indices.filter { validity[$0] }.flatMap { position in
      (0..<perPosition).map { position * perPosition + $0 }
    }
  }
}
