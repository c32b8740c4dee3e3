import PollardBase
import TensorStorage

extension Lowering {
  /// Gelu without the operator (before operator set 20).
  ///
  ///     y = Gelu(x)                          →  y = Mul(Mul(x, Add(Erf(Div(x, √2)), 1)), 0.5)
  ///     y = Gelu(x, approximate: "tanh")     →  t = Tanh(Mul(Add(x, Mul(Pow(x, 3), 0.044715)), √(2/π)))
  ///                                             y = Mul(Mul(x, 0.5), Add(t, 1))
  ///
  /// - Source: ONNX Gelu-20; the orders are those exporters write and ONNX Runtime fuses.
  static let gelu = Lowering("Gelu", since: 20) { context throws(GraphError) in
    let x = try context.operand(0)
    let element = context.element
    if context.node.string("approximate") == "tanh" {
      let cube = try context.add("Pow", [x, context.scalar(3, element)])
      let inner = try context.add("Add", [x, context.add("Mul", [cube, context.scalar(0.044715, element)])])
      let tanh = try context.add("Tanh", [context.add("Mul", [inner, context.scalar(0.7978845608, element)])])
      let sum = try context.add("Add", [tanh, context.scalar(1, element)])
      return try context.finish("Mul", [context.add("Mul", [x, context.scalar(0.5, element)]), sum])
    }
    let erf = try context.add("Erf", [context.add("Div", [x, context.scalar(1.4142135624, element)])])
    let sum = try context.add("Add", [erf, context.scalar(1, element)])
    try context.finish("Mul", [context.add("Mul", [x, sum]), context.scalar(0.5, element)])
  }

  /// Swish without the operator (before operator set 24).
  ///
  ///     y = Swish(x, alpha: a)  →  y = Mul(x, Sigmoid(Mul(x, a)))            without the inner product if a = 1
  ///
  /// - Source: ONNX Swish-24.
  static let swish = Lowering("Swish", since: 24) { context throws(GraphError) in
    let x = try context.operand(0)
    try context.finish("Mul", [x, context.sigmoid(x)])
  }

  /// SwiGLU without the operator (before operator set 28).
  ///
  ///     y = SwiGLU(a, b)  →  y = Mul(Mul(a, Sigmoid(a)), b)
  ///
  /// - Source: ONNX SwiGLU-28.
  static let swiGLU = Lowering("SwiGLU", since: 28) { context throws(GraphError) in
    let gate = try context.operand(0)
    try context.finish("Mul", [context.add("Mul", [gate, context.sigmoid(gate)]), context.operand(1)])
  }

  /// Mish without the operator (before operator set 18).
  ///
  ///     y = Mish(x)  →  y = Mul(x, Tanh(Softplus(x)))
  ///
  /// - Source: ONNX Mish-18.
  static let mish = Lowering("Mish", since: 18) { context throws(GraphError) in
    let x = try context.operand(0)
    try context.finish("Mul", [x, context.add("Tanh", [context.add("Softplus", [x])])])
  }

  /// HardSwish without the operator (before operator set 14).
  ///
  ///     y = HardSwish(x)  →  y = Mul(x, HardSigmoid(x, alpha: 1/6, beta: 0.5))
  ///
  /// - Source: ONNX HardSwish-14.
  static let hardSwish = Lowering("HardSwish", since: 14) { context throws(GraphError) in
    let x = try context.operand(0)
    let gate = try context.add("HardSigmoid", [x], ["alpha": .float(1.0 / 6), "beta": .float(0.5)])
    try context.finish("Mul", [x, gate])
  }
}

extension LoweringContext {
  /// The element type of the first operand.
  fileprivate var element: ElementType { type(node.input(0))?.element ?? .f32 }

  /// `Sigmoid(alpha · x)`.
  fileprivate mutating func sigmoid(_ x: ValueID) throws(GraphError) -> ValueID {
    let alpha = node.float("alpha") ?? 1
    return try add("Sigmoid", [alpha == 1 ? x : add("Mul", [x, scalar(alpha, element)])])
  }
}
