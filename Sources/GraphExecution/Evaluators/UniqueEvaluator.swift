import ModelGraph
import PollardBase
import TensorStorage

/// The distinct elements of a tensor, or its distinct parts along an axis: where each is first, which of them every position is, and how
/// often it occurs.
///
/// - x: `[…]`; y: `[k]`, or x with extent k along `axis`; first places: `[k]`; numbers: `[n]`; counts: `[k]`.
/// - Source: ONNX Unique-11.
func evaluateUnique(_ context: EvaluationContext) throws -> [Tensor] {
  var x = try context.tensor(0)
  var axis = 0
  if case .integer(let wanted)? = context.node.attributes["axis"] {
    axis = try context.axis(wanted, rank: x.rank)
  } else {
    x = x.reshaped([x.elementCount], context.memory)
  }
  let order = [axis] + x.extents.indices.filter { $0 != axis }
  let rows = x.extents[axis]
  let columns = rows == 0 ? 0 : x.elementCount / rows
  let ranks = ranks(of: x.transposed(order).contiguous(context.memory))
  var numbers: [ArraySlice<Int>: Int] = [:]
  var first: [Int] = []
  var counts: [Int64] = []
  var inverse: [Int] = []
  for row in 0..<rows {
    let key = ranks[row * columns..<(row + 1) * columns]
    if let known = numbers[key] {
      counts[known] += 1
      inverse.append(known)
    } else {
      numbers[key] = first.count
      inverse.append(first.count)
      first.append(row)
      counts.append(1)
    }
  }
  if context.node.integer("sorted", default: 1) != 0 {
    let sorted = first.indices.sorted { a, b in
      ranks[first[a] * columns..<(first[a] + 1) * columns]
        .lexicographicallyPrecedes(ranks[first[b] * columns..<(first[b] + 1) * columns])
    }
    var places = Array(repeating: 0, count: sorted.count)
    for (place, old) in sorted.enumerated() { places[old] = place }
    first = sorted.map { first[$0] }
    counts = sorted.map { counts[$0] }
    inverse = inverse.map { places[$0] }
  }
  return [
    x.selecting(first, axis: axis).declared(x.declaredType),
    Tensor(integers: first.map { Int64($0) }, extents: [first.count]),
    Tensor(integers: inverse.map { Int64($0) }, extents: [rows]), Tensor(integers: counts, extents: [first.count]),
  ]
}

/// For each element the number of distinct elements below it; NaN is above all numbers and equal to itself.
private func ranks(of x: Tensor) -> [Int] {
  func numbered<Key: Hashable>(_ keys: [Key], _ isLess: (Key, Key) -> Bool) -> [Int] {
    var places: [Key: Int] = [:]
    for (place, key) in Set(keys).sorted(by: isLess).enumerated() { places[key] = place }
    return keys.map { places[$0] ?? 0 }
  }
  if x.type == .string { return numbered(x.strings()) { $0.lexicographicallyPrecedes($1) } }
  if x.type.isFloatingPoint {
    let values = x.doubles()
    let ranks = numbered(values.filter { !$0.isNaN }, <)
    var rest = ranks[...]
    return values.map { $0.isNaN ? values.count : rest.popFirst() ?? 0 }
  }
  if x.type == .u64 { return numbered(x.integers().map { UInt64(bitPattern: $0) }, <) }
  return numbered(x.integers(), <)
}
