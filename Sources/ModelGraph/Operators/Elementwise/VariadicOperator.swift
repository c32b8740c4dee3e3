import PollardBase
import TensorStorage

/// An operator on any number of operands, element by element, that repeats axes of extent 1.
struct VariadicOperator: Operator {
  let name: OperatorName
  let formula: String
  let version: Int
  /// Whether zero comes out only where the function is zero, never by rounding.
  let isExact: Bool
  let function: @Sendable ([Double]) -> Double
  let sizes: (@Sendable (Size, Size) -> Size?)?

  init(
    _ name: String, _ formula: String, since version: Int, isExact: Bool = false,
    sizes: (@Sendable (Size, Size) -> Size?)? = nil, _ function: @escaping @Sendable ([Double]) -> Double
  ) {
    self.name = OperatorName(name)
    self.formula = formula
    self.version = version
    self.isExact = isExact
    self.sizes = sizes
    self.function = function
  }

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`, element by element.",
      shapes: "a, b, …: `[…]` broadcast together; y: their common shape.",
      axes: "Right-aligned axes are the same; extent 1 repeats.", zeros: "Known if all operands are.",
      source: "ONNX \(name)-\(version)", family: "Element by element: any number of operands")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let shape = try context.broadcast(context.node.inputs.indices.map { context.shape($0) })
    context.set(0, ValueType(context.element(0) ?? .f32, shape))
    guard let sizes, var result = context.elements(0) else { return }
    for slot in context.node.inputs.indices.dropFirst() {
      guard let next = context.elements(slot), next.count == result.count || next.count == 1 || result.count == 1 else {
        return
      }
      let count = next.isEmpty || result.isEmpty ? 0 : max(next.count, result.count)
      result = (0..<count).map { index in
        let a = result[result.count == 1 ? 0 : index]
        let b = next[next.count == 1 ? 0 : index]
        var size: Size?
        if let x = a.size, let y = b.size {
          // The smallest or largest of two sizes that are 0 or more is so too.
          size = sizes(x, y) ?? (x.isNonNegative && y.isNonNegative ? .computed(name.name, ["\(x)", "\(y)"]) : nil)
        }
        return SymbolicElement(size, origins: a.origins.union(b.origins))
      }
    }
    context.setElements(0, result)
  }

  func relate(_ context: inout AxisContext) {
    for slot in context.node.inputs.indices { context.passBroadcasting(slot) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let shape = context.resultShape() else { return }
    var operands: [TokenState] = []
    for slot in context.node.inputs.indices {
      guard let state = try context.state(slot) else { return }
      operands.append(state)
    }
    let result = TokenState.combined(operands, shape: shape) { elements in
      let worst = elements.map(\.0).max() ?? .zero
      if worst >= .unknown { return (worst, 0) }
      let value = function(elements.map(\.1))
      if !Float(value).isFinite { return (.poisoned, 0) }
      return value == 0 && (worst == .zero || isExact) ? (.zero, 0) : (.constant, value)
    }
    if let result { context.set(0, result) }
  }

  static let all = [
    VariadicOperator("Max", "max(a, b, …)", since: 13, isExact: true, sizes: { larger($0, $1) }) { $0.max() ?? 0 },
    VariadicOperator("Min", "min(a, b, …)", since: 13, isExact: true, sizes: { larger($1, $0, smallest: true) }) {
      $0.min() ?? 0
    },
    VariadicOperator("Sum", "a + b + …", since: 13) { $0.reduce(0, +) },
    VariadicOperator("Mean", "(a + b + …) / n", since: 13) { $0.reduce(0, +) / Double(max($0.count, 1)) },
  ]

  private static func larger(_ a: Size, _ b: Size, smallest: Bool = false) -> Size? {
    guard let difference = a.subtracting(b) else { return nil }
    // For the smallest the operands come exchanged: where a - b is never negative, b is the smaller.
    if let lowest = difference.lowerBound, lowest >= 0 { return smallest ? b : a }
    if let highest = difference.upperBound, highest <= 0 { return smallest ? a : b }
    return nil
  }
}
