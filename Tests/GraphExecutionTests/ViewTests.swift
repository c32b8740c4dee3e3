import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// One node of a chain: an operator, its other operands, and its attributes.
private struct ChainLink {
  var op: String
  var numbers: [[Int]] = []
  var attributes: [String: Attribute] = [:]

  func add(to builder: inout GraphBuilder, after x: ValueID) throws -> ValueID {
    try builder.add(op, [x] + numbers.map { builder.integers($0) }, attributes)
  }

  /// The link alone, on a tensor whose elements lie row-major.
  func applied(to x: Tensor) throws -> Tensor {
    let dense = Tensor(floats: x.floats(), extents: x.extents)
    var builder = GraphBuilder(name: op)
    let input = builder.input("x", ValueType(.f32, x.extents.map { Size($0) }))
    builder.output("y", try add(to: &builder, after: input))
    return try #require(try GraphExecutor(builder.graph, threads: oneThread).run(inputs: ["x": dense])["y"])
  }
}

@Suite("Views")
struct ViewTests {
  private func random(_ extents: [Int], _ random: inout RandomNumbers) -> ChainLink {
    let rank = extents.count
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return ChainLink(op: "Transpose", attributes: ["perm": .integers((0..<rank).shuffled(using: &random))])
    case 1:
      let axis = Int.random(in: 0..<rank, using: &random)
      let step = [1, 2, -1, -2].randomElement(using: &random) ?? 1
      let start = Int.random(in: 0..<max(extents[axis], 1), using: &random)
      return ChainLink(op: "Slice", numbers: [[start], [step > 0 ? 1000 : -1000], [axis], [step]])
    case 2:
      var factors: [Int] = []
      for extent in extents {
        let divisors = (1...max(extent, 1)).filter { extent % $0 == 0 }
        let factor = divisors.randomElement(using: &random) ?? 1
        if factors.count < 6, factor > 1, factor < extent {
          factors += [factor, extent / factor]
        } else {
          factors.append(extent)
        }
      }
      return ChainLink(op: "Reshape", numbers: [factors])
    case 3:
      let axis = Int.random(in: 0..<max(rank - 1, 1), using: &random)
      var joined = extents
      if rank > 1 { joined[axis] *= joined.remove(at: axis + 1) }
      return ChainLink(op: "Reshape", numbers: [joined])
    case 4: return ChainLink(op: "Unsqueeze", numbers: [[Int.random(in: 0...rank, using: &random)]])
    default: return ChainLink(op: "Expand", numbers: [extents.map { $0 == 1 ? 3 : $0 }])
    }
  }

  @Test("A chain of views gives what copies after every step give", arguments: 0..<60)
  func chains(seed: Int) throws {
    var numbers = RandomNumbers(seed: UInt64(seed))
    let extents = (0..<Int.random(in: 1...4, using: &numbers)).map { _ in
      [1, 2, 3, 4, 6].randomElement(using: &numbers) ?? 1
    }
    let start = Tensor(floats: numbers.floats(extents.reduce(1, *)), extents: extents)
    var links: [ChainLink] = []
    var stepwise = start
    for _ in 0..<6 where stepwise.rank < 7 && stepwise.elementCount < 4000 {
      let link = random(stepwise.extents, &numbers)
      stepwise = try link.applied(to: stepwise)
      links.append(link)
    }
    if stepwise.rank == 1 {
      let link = ChainLink(op: "Unsqueeze", numbers: [[0]])
      stepwise = try link.applied(to: stepwise)
      links.append(link)
    }
    let last = stepwise.rank - 1
    let ends: [ChainLink] = [
      ChainLink(op: "Identity"), ChainLink(op: "Exp"), ChainLink(op: "LeakyRelu"), ChainLink(op: "Softmax"),
      ChainLink(op: "Softmax", attributes: ["axis": .integer(0)]), ChainLink(op: "ReduceMax", numbers: [[last]]),
      ChainLink(op: "ReduceMax", numbers: [[0]]),
      ChainLink(op: "Gather", numbers: [[0, -1]], attributes: ["axis": .integer(last)]),
      ChainLink(op: "Cast", attributes: ["to": .onnxType(.f64)]),
    ]
    for end in ends where !stepwise.extents.contains(0) {
      var builder = GraphBuilder(name: "chain")
      var x = builder.input("x", ValueType(.f32, extents.map { Size($0) }))
      for link in links { x = try link.add(to: &builder, after: x) }
      builder.output("y", try end.add(to: &builder, after: x))
      let found = try GraphExecutor(builder.graph, threads: twoThreads).run(inputs: ["x": start])["y"]
      let expected = try end.applied(to: stepwise)
      #expect(sameBits(found, expected), "seed \(seed): \(links.map(\.op)) then \(end.op)")
    }
    // Both operands of sums and products are views.
    var builder = GraphBuilder(name: "chain")
    let input = builder.input("x", ValueType(.f32, extents.map { Size($0) }))
    var x = input
    for link in links { x = try link.add(to: &builder, after: x) }
    let swapped = try builder.add("Transpose", [x], ["perm": .integers(Array(0..<(last - 1)) + [last, last - 1])])
    builder.output(
      "sum",
      try builder.add(
        "Add", [x, builder.add("Slice", [x, builder.integers([0]), builder.integers([1]), builder.integers([last])])]))
    builder.output("product", try builder.add("MatMul", [x, swapped]))
    if stepwise.extents.contains(0) { return }
    let found = try GraphExecutor(builder.graph, threads: twoThreads).run(inputs: ["x": start])
    var plain = GraphBuilder(name: "plain")
    let a = plain.input("a", ValueType(.f32, stepwise.extents.map { Size($0) }))
    let bExtents = stepwise.extents.dropLast(2) + [stepwise.extents[last], stepwise.extents[last - 1]]
    let b = plain.input("b", ValueType(.f32, bExtents.map { Size($0) }))
    let c = plain.input("c", ValueType(.f32, (stepwise.extents.dropLast() + [1]).map { Size($0) }))
    plain.output("sum", try plain.add("Add", [a, c]))
    plain.output("product", try plain.add("MatMul", [a, b]))
    let order = Array(0..<(last - 1)) + [last, last - 1]
    let dense = Tensor(floats: stepwise.floats(), extents: stepwise.extents)
    let turned = try ChainLink(op: "Transpose", attributes: ["perm": .integers(order)]).applied(to: dense)
    let column = try ChainLink(op: "Slice", numbers: [[0], [1], [last]]).applied(to: dense)
    let expected = try GraphExecutor(plain.graph, threads: oneThread).run(inputs: [
      "a": dense, "b": Tensor(floats: turned.floats(), extents: turned.extents),
      "c": Tensor(floats: column.floats(), extents: column.extents),
    ])
    #expect(sameBits(found["sum"], expected["sum"]), "seed \(seed)")
    #expect(sameBits(found["product"], expected["product"]), "seed \(seed)")
  }
}
