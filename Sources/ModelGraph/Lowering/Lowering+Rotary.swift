import PollardBase

extension Lowering {
  /// RotaryEmbedding without the operator (before operator set 23), for an operand of rank 4 whose pairs are i and i + H/2.
  ///
  ///     y = RotaryEmbedding(x, cos, sin)
  ///
  /// becomes, `[B, N, S, H]` with cos, sin `[B, S, H/2]`,
  ///
  ///     c = Unsqueeze(cos, 1); s = Unsqueeze(sin, 1)                      once for all nodes with these angles
  ///     x₁, x₂ = Split(x, [H/2, H/2], axis: 3)
  ///     y = Concat(Sub(Mul(x₁, c), Mul(x₂, s)), Add(Mul(x₂, c), Mul(x₁, s)), axis: 3)
  ///
  /// - Source: ONNX RotaryEmbedding-23; Su et al. 2021, eq. 34.
  static let rotaryEmbedding = Lowering("RotaryEmbedding", since: 23) { context throws(GraphError) in
    try context.requireNeutral(["interleaved": .integer(0)])
    guard let shape = context.shape(context.node.input(0)), shape.count == 4, let width = shape[3].constant,
      width % 2 == 0, [0, width].contains(context.node.integer("rotary_embedding_dim", default: 0))
    else {
      throw context.failure(
        expected: "an operand of rank 4 that is turned as a whole",
        found: "\(context.shape(context.node.input(0)).map { "\($0)" } ?? "an unknown shape")")
    }
    let cosines = try context.angles(1)
    let sines = try context.angles(2)
    let halves = try context.add(
      "Split", [context.operand(0), context.integers([width / 2, width / 2])], ["axis": .integer(3)], outputs: 2)
    let first = try context.add(
      "Sub", [context.add("Mul", [halves[0], cosines]), context.add("Mul", [halves[1], sines])])
    let second = try context.add(
      "Add", [context.add("Mul", [halves[1], cosines]), context.add("Mul", [halves[0], sines])])
    try context.finish("Concat", [first, second], ["axis": .integer(3)])
  }
}

extension LoweringContext {
  /// Cosines or sines of every token, `[B, 1, S, H/2]`.
  fileprivate mutating func angles(_ slot: Int) throws(GraphError) -> ValueID {
    let table = try operand(slot)
    let places = node.input(3)
    return try shared("rotary_angles", [table, places]) { context throws(GraphError) in
      let chosen = places == nil ? table : try context.add("Gather", [table, places])
      return try context.add("Unsqueeze", [chosen, context.integers([1])])
    }
  }
}
