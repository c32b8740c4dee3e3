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

  /// How many elements are compared.
  var count: Int { (rows?.count ?? (tensor?.elementCount ?? 0) / rowWidth) * width }

  /// How the part differs from another, this being the reference; nil when they have different numbers of elements, or elements that are not
  /// comparable.
  func comparison(with other: ComparedPart, _ pool: ThreadPool) -> (found: BufferComparison, count: Int)? {
    guard count == other.count, let arithmetic = arithmetic(with: other) else { return nil }
    switch arithmetic {
    case .single: return comparison(with: other, as: Float.self, pool)
    case .double: return comparison(with: other, as: Double.self, pool)
    case .integer: return comparison(with: other, as: Int64.self, pool)
    case .unsigned: return comparison(with: other, as: UInt64.self, pool)
    case .text:
      guard var result = comparison(with: other, as: Int64.self, pool) else { return nil }
      // Strings have no distance: none is near another.
      result.found.nonfiniteMismatches = result.found.differing
      return result
    }
  }

  /// What the numbers of two parts are compared in.
  private enum Arithmetic {
    case single, double, integer, unsigned, text
  }

  /// Doubles where both are, integers where both are, and strings with strings; nil where no type holds both.
  private func arithmetic(with other: ComparedPart) -> Arithmetic? {
    let types = [self, other].filter { !$0.isEmpty }.compactMap { $0.tensor?.type }
    guard let first = types.first, let last = types.last else { return .single }
    if first == .string || last == .string { return first == last ? .text : nil }
    if first == .f64, last == .f64 { return .double }
    switch (first.isFloatingPoint, last.isFloatingPoint) {
    case (true, true): return .single
    case (false, false):
      if first == .u64 || last == .u64 { return first == last ? .unsigned : nil }
      return .integer
    default: return .double
    }
  }

  private func comparison<Element: ComparedElement>(
    with other: ComparedPart, as type: Element.Type, _ pool: ThreadPool
  ) -> (found: BufferComparison, count: Int)? {
    withElements(type) { x in
      other.withElements(type) { y in x.count == y.count ? (Element.comparison(x, y, pool), x.count) : nil }
    }
  }

  /// One of the compared elements.
  func number(at index: Int) -> Double { withElements(Double.self) { $0[index] } }

  /// Calls a function with the elements that are compared, row by row.
  private func withElements<Element: ComparedElement, Result>(
    _ type: Element.Type, _ body: (UnsafeBufferPointer<Element>) -> Result
  ) -> Result {
    guard let tensor else { return body(UnsafeBufferPointer(start: nil, count: 0)) }
    let chosen =
      positions == nil && rows == nil ? tensor : tensor.selectingRows(rows, of: rowWidth, columns: positions)
    if chosen.type == .f32, type == Float.self {
      return chosen.withFloats { body(UnsafeRawBufferPointer($0).assumingMemoryBound(to: Element.self)) }
    }
    return Element.all(of: chosen).withUnsafeBufferPointer(body)
  }

  /// The share of rows whose largest element is at the same place; nil when there are none.
  static func topShare(_ a: ComparedPart, _ b: ComparedPart, _ pool: ThreadPool) -> Double? {
    guard a.count == b.count, let arithmetic = a.arithmetic(with: b) else { return nil }
    switch arithmetic {
    case .single: return topShare(a, b, as: Float.self, pool)
    case .double: return topShare(a, b, as: Double.self, pool)
    case .integer: return topShare(a, b, as: Int64.self, pool)
    case .unsigned: return topShare(a, b, as: UInt64.self, pool)
    case .text: return nil
    }
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
  private let validity: [Bool]?
  /// Where each model has its tokens.
  private let tokens: [TokenAxes?]

  /// Reads the mask of the inputs. One of floating-point numbers is not read: it may be one that is added, where 0 admits.
  init(inputs: [String: Tensor], graphs: [Graph]) {
    if let mask = inputs["attention_mask"], mask.isTensor, !mask.type.isFloatingPoint, mask.type != .string {
      validity = mask.integers().map { $0 != 0 }
      tokens = graphs.map(TokenAxes.init)
    } else {
      validity = nil
      tokens = graphs.map { _ in nil }
    }
  }

  /// The part of a value that is compared.
  func part(of tensor: Tensor, _ id: ValueID, _ value: ComparedValue, side: Int, isReference: Bool) -> ComparedPart {
    let positions = isReference ? value.positions : value.otherPositions
    var part = ComparedPart(side: side)
    part.tensor = tensor
    part.positions = positions
    // Along an inner axis cut at once, along the last when its rows are chosen.
    if let axis = value.axis, let positions, axis < tensor.rank - 1 {
      part.tensor = tensor.selecting(positions, axis: axis)
      part.positions = nil
    }
    chooseRows(of: &part, id)
    return part
  }

  /// Limits a part to the tokens that the mask admits, where the value has the mask's axes.
  func chooseRows(of part: inout ComparedPart, _ id: ValueID) {
    guard let tensor = part.tensor else { return }
    part.rowWidth = max(tensor.extents.last ?? 1, 1)
    guard let validity, tensor.rank > 2 || part.positions == nil, let tokens = tokens[part.side],
      tokens.areFirst(of: id, rank: tensor.rank), tensor.extents[0] * tensor.extents[1] == validity.count
    else { return }
    if tensor.rank == 2 { part.rowWidth = 1 }
    if validity.allSatisfy({ $0 }) { return }
    let perPosition = tensor.rank == 2 ? 1 : tensor.extents[2...].dropLast().reduce(1, *)
    part.rows = validity.indices.filter { validity[$0] }.flatMap { position in
      (0..<perPosition).map { position * perPosition + $0 }
    }
  }
}
