import PollardBase
import TensorStorage

extension Lowering {
  /// RMSNormalization without the operator (before operator set 23).
  ///
  ///     y = RMSNormalization(x, scale, epsilon: ε)
  ///
  /// becomes
  ///
  ///     m = ReduceMean(Pow(x, 2), [-1])
  ///     y = Mul(Div(x, Sqrt(Add(m, ε))), scale)
  ///
  /// - Source: ONNX RMSNormalization-23; the order is the one ONNX Runtime fuses.
  static let rmsNormalization = Lowering("RMSNormalization", since: 23) { context throws(GraphError) in
    let parts = try context.normalisation()
    let x = parts.x
    let square = try context.add("Pow", [x, context.scalar(2)])
    let mean = try context.add("ReduceMean", [square, context.integers(parts.axes)], ["keepdims": .integer(1)])
    let sum = try context.add("Add", [mean, context.scalar(parts.epsilon)])
    let quotient = try context.add("Div", [x, context.add("Sqrt", [sum])])
    try context.finish("Mul", [context.narrowed(quotient, parts.element), context.operand(1)])
  }

  /// LayerNormalization without the operator (before operator set 17).
  ///
  ///     y = LayerNormalization(x, scale, bias, epsilon: ε)
  ///
  /// becomes
  ///
  ///     d = Sub(x, ReduceMean(x, [-1]))
  ///     v = ReduceMean(Pow(d, 2), [-1])
  ///     y = Add(Mul(Div(d, Sqrt(Add(v, ε))), scale), bias)
  ///
  /// - Source: ONNX LayerNormalization-17; the order is the one exporters write and ONNX Runtime fuses.
  static let layerNormalization = Lowering("LayerNormalization", since: 17) { context throws(GraphError) in
    try context.requireOneResult()
    let parts = try context.normalisation()
    let keeps: [String: Attribute] = ["keepdims": .integer(1)]
    let mean = try context.add("ReduceMean", [parts.x, context.integers(parts.axes)], keeps)
    let difference = try context.add("Sub", [parts.x, mean])
    let square = try context.add("Pow", [difference, context.scalar(2)])
    let variance = try context.add("ReduceMean", [square, context.integers(parts.axes)], keeps)
    let sum = try context.add("Add", [variance, context.scalar(parts.epsilon)])
    let quotient = try context.add("Div", [difference, context.add("Sqrt", [sum])])
    let normal = try context.narrowed(quotient, parts.element)
    guard let bias = context.node.input(2) else {
      return try context.finish("Mul", [normal, context.operand(1)])
    }
    try context.finish("Add", [context.add("Mul", [normal, context.operand(1)]), bias])
  }
}

extension LoweringContext {
  fileprivate struct Normalisation {
    /// The operand in single precision.
    var x: ValueID
    /// The element type of the operand itself.
    var element: ElementType
    var axes: [Int]
    var epsilon: Float
  }

  fileprivate mutating func normalisation() throws(GraphError) -> Normalisation {
    try requireNeutral(["stash_type": .integer(1)])
    let x = try operand(0)
    guard let type = type(x) else { throw failure(expected: "a typed operand", found: "an unknown type") }
    let axes: [Int]
    switch (node.integer("axis", default: -1), type.shape?.count) {
    case (-1, _): axes = [-1]
    case (let first, let rank?): axes = Array((first < 0 ? first + rank : first)..<rank)
    case (let first, nil): throw failure(expected: "the last axis or a known rank", found: "axis \(first)")
    }
    let isNarrow = type.element == .f16 || type.element == .bf16
    return Normalisation(
      x: isNarrow ? try add("Cast", [x], ["to": .onnxType(.f32)]) : x, element: type.element, axes: axes,
      epsilon: node.float("epsilon") ?? 1e-5)
  }

  /// Single precision back in the operand's own type.
  fileprivate mutating func narrowed(_ x: ValueID, _ element: ElementType) throws(GraphError) -> ValueID {
    element == .f16 || element == .bf16 ? try add("Cast", [x], ["to": .onnxType(element)]) : x
  }
}
