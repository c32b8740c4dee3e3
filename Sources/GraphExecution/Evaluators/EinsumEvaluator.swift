import ModelGraph
import PollardBase
import TensorStorage

/// Sums of products by Einstein's convention: operands are multiplied from left to right, two at a time.
///
/// A label that only one operand has and the result lacks is summed first. Every sum runs in ascending order of the position in one
/// accumulator, labels in the order in which the equation first names them.
func evaluateEinsum(_ context: EvaluationContext) throws -> Tensor {
  var tensors = try context.operands.indices.map { try context.tensor($0) }
  // Sums of narrow integers wrap around at the end as they would on the way.
  if let type = tensors.first?.type, type.bitCount < 32, type.integerElement != nil {
    tensors = try tensors.map { try converted($0, to: .i64, context) }
    return try converted(einsum(tensors, context), to: type, context)
  }
  return try einsum(tensors, context)
}

private func einsum(_ tensors: [Tensor], _ context: EvaluationContext) throws -> Tensor {
  let text = context.node.string("equation") ?? ""
  guard !tensors.isEmpty, let equation = EinsumEquation(text, ranks: tensors.map(\.rank)) else {
    throw context.failure(
      expected: "an equation for operands of the ranks \(tensors.map(\.rank))", found: "\"\(text)\"")
  }
  var extents: [Int: Int] = [:]
  for (tensor, labels) in zip(tensors, equation.operands) {
    for (extent, label) in zip(tensor.extents, labels) {
      let known = extents[label] ?? 1
      guard known == 1 || extent == 1 || known == extent else {
        throw context.failure(expected: "one extent for each label of \"\(text)\"", found: "\(known) and \(extent)")
      }
      extents[label] = known == 1 ? extent : known
    }
  }
  var terms = zip(tensors, equation.operands).map { LabelledTensor($0, $1, extents) }
  for index in terms.indices {
    let others = terms.indices.filter { $0 != index }.flatMap { terms[$0].labels } + equation.result
    terms[index] = try terms[index].summed(keeping: Set(others), context)
  }
  var product = terms[0]
  for index in 1..<max(terms.count, 1) {
    let wanted = Set(terms[(index + 1)...].flatMap(\.labels) + equation.result)
    product = try product.multiplied(by: terms[index], keeping: wanted, context)
  }
  let place = equation.result.compactMap { product.labels.firstIndex(of: $0) }
  return product.tensor.transposed(place)
}

/// A tensor whose axes have labels, each once.
private struct LabelledTensor {
  var tensor: Tensor
  var labels: [Int]

  init(_ tensor: Tensor, _ labels: [Int]) {
    self.tensor = tensor
    self.labels = labels
  }

  /// Walks the diagonal of axes with one label, and repeats axes of extent 1.
  init(_ tensor: Tensor, _ labels: [Int], _ extents: [Int: Int]) {
    var unique: [Int] = []
    for label in labels where !unique.contains(label) { unique.append(label) }
    let strides = unique.map { label in
      labels.indices.reduce(0) { $0 + (labels[$1] == label && tensor.extents[$1] != 1 ? tensor.strides[$1] : 0) }
    }
    self.init(tensor.view(unique.map { extents[$0] ?? 1 }, strides: strides), unique)
  }

  private func extent(_ label: Int) -> Int { labels.firstIndex(of: label).map { tensor.extents[$0] } ?? 1 }

  /// The axes in an order, groups of them joined.
  private func arranged(_ groups: [[Int]], _ context: EvaluationContext) throws -> Tensor {
    let order = groups.joined().compactMap { labels.firstIndex(of: $0) }
    var joined: [Int] = []
    for group in groups { joined.append(try context.elementCount(group.map(extent))) }
    // Repeated axes may have to be written out.
    try context.checkView(tensor.type, joined)
    return tensor.transposed(order).reshaped(joined, context.memory)
  }

  func summed(keeping wanted: Set<Int>, _ context: EvaluationContext) throws -> LabelledTensor {
    let kept = labels.filter(wanted.contains)
    let gone = labels.filter { !wanted.contains($0) }
    if gone.isEmpty { return self }
    let rows = try arranged([kept, gone], context)
    let ones = try context.ones(rows.extents[1], rows.type)
    return LabelledTensor(try tensorProduct(rows, ones, context).reshaped(kept.map(extent), context.memory), kept)
  }

  func multiplied(
    by other: LabelledTensor, keeping wanted: Set<Int>, _ context: EvaluationContext
  ) throws -> LabelledTensor {
    let shared = labels.filter(other.labels.contains)
    let batch = shared.filter(wanted.contains)
    let summed = shared.filter { !wanted.contains($0) }
    let rows = labels.filter { !shared.contains($0) }
    let columns = other.labels.filter { !shared.contains($0) }
    let left = try arranged([batch, rows, summed], context)
    let right = try other.arranged([batch, summed, columns], context)
    let product = try tensorProduct(left, right, context)
    let order = batch + rows + columns
    let extents = batch.map(extent) + rows.map(extent) + columns.map(other.extent)
    return LabelledTensor(product.reshaped(extents, context.memory), order)
  }
}

extension EvaluationContext {
  /// The number of elements of some extents.
  func elementCount(_ extents: [Int]) throws(GraphError) -> Int {
    if extents.contains(0) { return 0 }
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw failure(.tooLarge, expected: "a countable number of elements", found: "\(extents)") }
      count = product
    }
    return count
  }

  /// A vector of ones.
  func ones(_ count: Int, _ type: ElementType) throws -> Tensor {
    let one = try converted(Tensor(integers: [1], extents: [1]), to: type, self)
    return one.broadcast(to: [count])
  }
}
