import PollardBase
import TensorStorage

/// Chooses the results of one of two branches, whose nodes stand before it in the graph.
///
/// Operands are the condition, the results of the branch for true, the results of the branch for false.
struct If: Operator {
  let name = OperatorName("If")
  let documentation = OperatorDocumentation(
    summary: "`yᵢ = condition ? thenᵢ : elseᵢ`.",
    shapes: "condition: scalar; thenᵢ, elseᵢ: `[…]` of one rank; yᵢ: their extents where they agree.",
    axes: "Axes of both branches and of the result are the same.", zeros: "What both branches share.",
    source: "ONNX If-24")

  private func count(_ node: Node) -> Int { node.outputs.count }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let count = count(context.node)
    // A conditional whose branches are still graphs within it says nothing about its results.
    guard context.node.inputs.count == 1 + 2 * count else {
      for slot in 0..<count { context.set(slot, ValueType(.f32, nil)) }
      return
    }
    for slot in 0..<count {
      let first = context.type(1 + slot)
      let second = context.type(1 + count + slot)
      guard let element = first?.element ?? second?.element else { continue }
      guard let a = first?.shape, let b = second?.shape, a.count == b.count else {
        context.set(slot, ValueType(element, nil))
        continue
      }
      let shape = zip(a, b).enumerated().map { axis, pair in
        pair.0 == pair.1 ? pair.0 : .computed("If", ["\(pair.0)", "\(pair.1)"])
      }
      context.set(slot, ValueType(element, shape))
      guard let x = context.elements(1 + slot), let y = context.elements(1 + count + slot), x.count == y.count else {
        continue
      }
      let test = Set((context.elements(0) ?? []).flatMap(\.origins))
      context.setElements(
        slot,
        zip(x, y).map {
          SymbolicElement($0.size == $1.size ? $0.size : nil, origins: $0.origins.union($1.origins).union(test))
        })
    }
  }

  func relate(_ context: inout AxisContext) {
    let count = count(context.node)
    guard context.node.inputs.count == 1 + 2 * count else { return }
    for slot in 0..<count {
      guard let rank = context.outputRank(slot), context.rank(1 + slot) == rank, context.rank(1 + count + slot) == rank
      else { continue }
      for axis in 0..<rank {
        let places: [AxisPlace] = [.input(1 + slot, axis), .input(1 + count + slot, axis), .output(slot, axis)]
        if Set(places.map { context.size($0) }).count == 1 {
          context.unify(places[0], places[2])
          context.unify(places[1], places[2])
        } else {
          for place in places { context.pin(place, .unequal) }
        }
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    let count = count(context.node)
    guard context.node.inputs.count == 1 + 2 * count else { return }
    for slot in 0..<count {
      guard let a = try context.state(1 + slot), let b = try context.state(1 + count + slot),
        let shape = context.resultShape(slot)
      else { continue }
      if a.shape == shape, b.shape == shape,
        let result = TokenState.combined([a, b], shape: shape, { TokenState.join($0[0], $0[1]) })
      {
        context.set(slot, result)
      } else {
        let (state, number) = TokenState.join(a.join(), b.join())
        context.set(slot, TokenState(shape: shape, all: state, number: number))
      }
    }
  }
}
