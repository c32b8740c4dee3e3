import PollardBase

extension Lowering {
  /// The extents of some axes (Shape before operator set 15 gives all of them).
  ///
  ///     y = Shape(x, start: a, end: b)  →  y = Slice(Shape(x), [a], [b], [0])
  static let shapeRange = Lowering("Shape", since: 15) { context throws(GraphError) in
    let attributes = context.node.attributes
    if attributes["end"] == nil, context.node.integer("start", default: 0) == 0 {
      return try context.finish(inputs: context.node.inputs, attributes: [:])
    }
    let whole = try context.add("Shape", [context.operand(0)])
    let start = context.integers([context.node.integer("start", default: 0)])
    let end = context.integers([context.node.integer("end", default: Int.max)])
    try context.finish("Slice", [whole, start, end, context.integers([0])])
  }

  /// Equal parts (before operator set 18 their number goes without saying).
  ///
  ///     y₁ … yₙ = Split(x, num_outputs: n)  →  y₁ … yₙ = Split(x)
  ///
  /// Parts that are not equal are listed instead.
  static let splitCount = Lowering("Split", since: 18) { context throws(GraphError) in
    var attributes = context.node.attributes
    guard attributes.removeValue(forKey: "num_outputs") != nil else { return try context.finishUnchanged() }
    let shape = context.shape(context.node.input(0))
    let axis = shape.map { context.axis(default: 0, rank: $0.count) }
    var parts: [Int] = []
    for case let output? in context.node.outputs {
      if let axis, let extent = context.shape(output)?[axis].constant { parts.append(extent) }
    }
    let isKnown = parts.count == context.node.outputs.count
    let data = try context.operand(0)
    if isKnown, Set(parts).count > 1 {
      return try context.finish(inputs: [data, context.integers(parts)], attributes: attributes)
    }
    try context.finish(inputs: [data], attributes: attributes)
  }

  /// The sizes of parts as an attribute (before operator set 13).
  ///
  ///     y₁, y₂ = Split(x, [2, 3])  →  y₁, y₂ = Split(x, split: [2, 3])
  static let splitSizes = Lowering("Split", since: 13) { context throws(GraphError) in
    try context.moveOperand(1, toAttribute: "split")
  }

  /// Axes as an attribute (Squeeze before operator set 13).
  ///
  ///     y = Squeeze(x, [1])  →  y = Squeeze(x, axes: [1])
  static let squeezeAxes = axes("Squeeze", since: 13)

  /// Axes as an attribute (Unsqueeze before operator set 13).
  ///
  ///     y = Unsqueeze(x, [1])  →  y = Unsqueeze(x, axes: [1])
  static let unsqueezeAxes = axes("Unsqueeze", since: 13)

  /// Axes as an attribute (ReduceSum before operator set 13, the other reductions before 18).
  ///
  ///     y = ReduceMean(x, [-1])  →  y = ReduceMean(x, axes: [-1])
  static let reductions: [Lowering] =
    [axes("ReduceSum", since: 13)]
    + ["Max", "Min", "Mean", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"].map {
      axes("Reduce\($0)", since: 18)
    }

  private static func axes(_ op: String, since: Int) -> Lowering {
    Lowering(op, since: since) { context throws(GraphError) in
      if context.node.input(1) == nil, context.node.integer("noop_with_empty_axes", default: 0) != 0 {
        return try context.finish("Identity", [context.operand(0)])
      }
      try context.moveOperand(1, toAttribute: "axes", dropping: ["noop_with_empty_axes"])
    }
  }

  /// Not greater (LessOrEqual before operator set 12).
  ///
  ///     y = LessOrEqual(a, b)  →  y = Not(Greater(a, b))
  ///
  /// Differs where an operand is NaN, of which both comparisons are false.
  static let lessOrEqual = negated("LessOrEqual", "Greater")

  /// Not less (GreaterOrEqual before operator set 12).
  ///
  ///     y = GreaterOrEqual(a, b)  →  y = Not(Less(a, b))
  ///
  /// Differs where an operand is NaN, of which both comparisons are false.
  static let greaterOrEqual = negated("GreaterOrEqual", "Less")

  private static func negated(_ op: String, _ opposite: String) -> Lowering {
    Lowering(op, since: 12) { context throws(GraphError) in
      let pair = [try context.operand(0), try context.operand(1)]
      try context.finish("Not", [context.add(opposite, pair)])
    }
  }

  /// Attributes that operators have since some version, with the value that says what older forms mean anyway.
  static let laterAttributes: [Lowering] = [
    laterAttributes("ArgMax", since: 12, ["select_last_index": .integer(0)]),
    laterAttributes("ArgMin", since: 12, ["select_last_index": .integer(0)]),
    laterAttributes("Attention", since: 25, ["left_window_size": .integer(-1), "right_window_size": .integer(-1)]),
    laterAttributes("BatchNormalization", since: 14, ["training_mode": .integer(0)]),
    laterAttributes("Cast", since: 19, ["saturate": .integer(1)]),
    laterAttributes("Cast", since: 24, ["round_mode": .string("up")]),
    laterAttributes("CastLike", since: 19, ["saturate": .integer(1)]),
    laterAttributes("CastLike", since: 24, ["round_mode": .string("up")]),
    laterAttributes("GatherND", since: 12, ["batch_dims": .integer(0)]),
    laterAttributes("Range", since: 27, ["stash_type": .integer(1)]),
    laterAttributes("Reshape", since: 14, ["allowzero": .integer(0)]),
    laterAttributes("ScatterElements", since: 16, ["reduction": .string("none")]),
    laterAttributes("ScatterND", since: 16, ["reduction": .string("none")]),
  ]

  /// Leaves out attributes that older forms lack, when they say what those mean anyway.
  private static func laterAttributes(_ op: String, since: Int, _ neutral: [String: Attribute]) -> Lowering {
    Lowering(op, since: since) { context throws(GraphError) in
      try context.requireNeutral(neutral)
      try context.finish(
        inputs: context.node.inputs, attributes: context.node.attributes.filter { neutral[$0.key] == nil })
    }
  }

  /// Forms that have no older counterpart: a node that uses what came with them is refused, any other is left as it is.
  static let withheld: [Lowering] = [
    withheld("Attention", since: 24, operands: 6),
    withheld("AveragePool", since: 19, ["dilations"]),
    withheld(
      "Constant", since: 12,
      ["value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"]),
    withheld("DequantizeLinear", since: 13, ["axis"]),
    withheld("DequantizeLinear", since: 21, ["block_size"]),
    withheld("DequantizeLinear", since: 23, ["output_dtype"]),
    // The axis without an operand is another one.
    withheld("DFT", since: 20, operands: 0),
    withheld("Dropout", since: 12, ["seed"], operands: 1),
    withheld("GRU", since: 14, ["layout"]),
    withheld("LSTM", since: 14, ["layout"]),
    withheld("LpPool", since: 18, ["ceil_mode", "dilations"]),
    withheld("Pad", since: 18, operands: 3),
    withheld("QuantizeLinear", since: 13, ["axis"]),
    withheld("QuantizeLinear", since: 19, ["saturate"]),
    withheld("QuantizeLinear", since: 21, ["block_size", "output_dtype"]),
    withheld("QuantizeLinear", since: 23, ["precision"]),
    withheld("RNN", since: 14, ["layout"]),
    withheld("Resize", since: 18, ["antialias", "axes", "keep_aspect_ratio_policy"]),
    // Coordinates without an attribute are others.
    withheld("RoiAlign", since: 16, operands: 0),
    withheld("SpaceToDepth", since: 28, ["mode"]),
  ]

  private static func withheld(
    _ op: String, since: Int, _ attributes: [String] = [], operands: Int? = nil
  ) -> Lowering {
    Lowering(op, since: since) { context throws(GraphError) in
      let node = context.node
      if let name = attributes.first(where: { node.attributes[$0] != nil }) {
        throw context.failure(expected: "\(op) without \(name)", found: "one with it")
      }
      if let operands, node.inputs.dropFirst(operands).contains(where: { $0 != nil }) {
        throw context.failure(expected: "at most \(operands) operands of \(op)", found: "\(node.inputs.count)")
      }
      try context.finishUnchanged()
    }
  }

  /// Functions that before operator set 13 ran over all axes from `axis` on: the same for the last axis.
  static func lastAxisOnly(_ op: String) -> Lowering {
    Lowering(op, since: 13) { context throws(GraphError) in
      let axis = context.node.integer("axis", default: -1)
      let rank = context.shape(context.node.input(0))?.count
      guard axis == -1 || rank.map({ axis == $0 - 1 }) ?? false else {
        throw context.failure(expected: "\(op) over the last axis", found: "axis \(axis)")
      }
      try context.finish(
        inputs: context.node.inputs, attributes: context.node.attributes.merging(["axis": .integer(-1)]) { $1 })
    }
  }
}

extension LoweringContext {
  /// The node with constant numbers of an operand as an attribute.
  fileprivate mutating func moveOperand(
    _ slot: Int, toAttribute name: String, dropping dropped: Set<String> = []
  ) throws(GraphError) {
    var inputs = node.inputs
    var attributes = node.attributes.filter { !dropped.contains($0.key) }
    if let numbers = try constants(slot) {
      inputs[slot] = nil
      attributes[name] = .integers(numbers)
    }
    try finish(inputs: inputs, attributes: attributes)
  }
}
