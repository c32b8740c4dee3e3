import PollardBase

extension Lowering {
  /// RotaryEmbedding without the operator (before operator set 23), for an operand of rank 4 whose pairs are i and i + R/2.
  ///
  ///     y = RotaryEmbedding(x, cos, sin)
  ///
  /// becomes, `[B, N, S, H]` with cos, sin `[B, S, R/2]`, of whose H elements the first R are turned (all, or
  /// `rotary_embedding_dim`),
  ///
  ///     c = Unsqueeze(cos, 1); s = Unsqueeze(sin, 1)                      once for all nodes with these angles
  ///     x₁, x₂, x₃ = Split(x, [R/2, R/2, H - R], axis: 3)                 without x₃ if R = H
  ///     y = Concat(Sub(Mul(x₁, c), Mul(x₂, s)), Add(Mul(x₂, c), Mul(x₁, s)), x₃, axis: 3)
  ///
  /// - Source: ONNX RotaryEmbedding-23; Su et al. 2021, eq. 34.
  static let rotaryEmbedding = Lowering("RotaryEmbedding", since: 23) { context throws(GraphError) in
    try context.requireNeutral(["interleaved": .integer(0)])
    let asked = context.node.integer("rotary_embedding_dim", default: 0)
    guard let shape = context.shape(context.node.input(0)), shape.count == 4, let width = shape[3].constant,
      (0...width).contains(asked), (asked == 0 ? width : asked) % 2 == 0
    else {
      throw context.failure(
        expected: "an operand of rank 4 with whole pairs",
        found: "\(context.shape(context.node.input(0)).map { "\($0)" } ?? "an unknown shape"), \(asked) turned")
    }
    let turned = asked == 0 ? width : asked
    let cosines = try context.angles(1)
    let sines = try context.angles(2)
    let sizes = [turned / 2, turned / 2] + (turned < width ? [width - turned] : [])
    let parts = try context.add(
      "Split", [context.operand(0), context.integers(sizes)], ["axis": .integer(3)], outputs: sizes.count)
    let first = try context.add(
      "Sub", [context.add("Mul", [parts[0], cosines]), context.add("Mul", [parts[1], sines])])
    let second = try context.add(
      "Add", [context.add("Mul", [parts[1], cosines]), context.add("Mul", [parts[0], sines])])
    try context.finish("Concat", [first, second] + parts.dropFirst(2), ["axis": .integer(3)])
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
