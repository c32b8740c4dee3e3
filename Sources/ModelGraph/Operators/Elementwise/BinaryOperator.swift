import PollardBase
import TensorStorage

/// An operator on two operands, element by element, that repeats axes of extent 1.
///
/// Axes: right-aligned axes are the same; an axis of extent 1 takes the other's. Zeros: the result is known when both operands are; a product
/// is zero when either factor is and the other is finite, a quotient when the dividend is.
struct BinaryOperator: Operator {
  /// What one certain operand says about the result on its own.
  enum Absorption: Sendable {
    case none, product, quotient
  }

  /// The element type of the result.
  enum Result: Sendable {
    case operand, truth
  }

  let name: OperatorName
  let formula: String
  let source: String
  let absorption: Absorption
  let result: Result
  /// Whether zero comes out only where the function is zero, never by rounding.
  let isExact: Bool
  /// Whether minus infinity and a finite number give minus infinity again, so that a mask stays one.
  let keepsMasks: Bool
  let function: @Sendable (Double, Double) -> Double
  /// The same on symbolic sizes, for shape arithmetic; nil when it does not stay within sizes.
  let sizes: (@Sendable (Size, Size) -> Size?)?
  /// Whether a result that does not stay within sizes is still certainly zero or more, given the operands.
  let isNonNegative: (@Sendable (Size, Size) -> Bool)?

  init(
    _ name: String, _ formula: String, since version: Int, absorption: Absorption = .none, result: Result = .operand,
    isExact: Bool = false, keepsMasks: Bool = false, sizes: (@Sendable (Size, Size) -> Size?)? = nil,
    isNonNegative: (@Sendable (Size, Size) -> Bool)? = nil, _ function: @escaping @Sendable (Double, Double) -> Double
  ) {
    self.name = OperatorName(name)
    self.formula = formula
    self.source = "ONNX \(name)-\(version)"
    self.absorption = absorption
    self.result = result
    self.isExact = isExact
    self.keepsMasks = keepsMasks
    self.sizes = sizes
    self.isNonNegative = isNonNegative
    self.function = function
  }

  var requiredInputs: Int { 2 }
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`, element by element.",
      shapes: "a, b: `[…]` broadcast together; y: their common shape.",
      axes: "Right-aligned axes are the same; extent 1 repeats.",
      zeros: absorption == .none
        ? "Known if both operands are."
        : absorption == .product ? "Zero if either operand is and the other is finite." : "Zero if a is.",
      source: source, family: "Element by element: two operands")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let shape = try context.broadcast([context.shape(0), context.shape(1)])
    context.set(0, ValueType(result == .truth ? .bool : context.element(0) ?? context.element(1) ?? .f32, shape))
    guard let sizes, let a = context.elements(0), let b = context.elements(1),
      a.count == b.count || a.count == 1 || b.count == 1
    else { return }
    let count = a.isEmpty || b.isEmpty ? 0 : max(a.count, b.count)
    context.setElements(
      0,
      (0..<count).map { index in
        let x = a[a.count == 1 ? 0 : index]
        let y = b[b.count == 1 ? 0 : index]
        return SymbolicElement(combine(x.size, y.size, sizes), origins: x.origins.union(y.origins))
      })
  }

  private func combine(_ x: Size?, _ y: Size?, _ sizes: (Size, Size) -> Size?) -> Size? {
    guard let x, let y else { return nil }
    if let result = sizes(x, y) { return result }
    return isNonNegative?(x, y) == true ? .computed(name.name, ["\(x)", "\(y)"]) : nil
  }

  func relate(_ context: inout AxisContext) {
    context.passBroadcasting(0)
    context.passBroadcasting(1)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    /// Whether the state's numbers are those of the file: single precision holds them, and nothing has rounded them.
    func holdsExactly(_ slot: Int) -> Bool {
      let weight = context.node.input(slot).flatMap { context.graph[$0].initializer }
      return weight.map { [.f32, .f16, .bf16, .bool, .i8, .u8, .i16, .u16].contains($0.type) } ?? false
    }
    let isKnown = isExact || holdsExactly(0) && holdsExactly(1)
    guard let a = try context.state(0), let b = try context.state(1), let shape = context.resultShape(),
      let result = TokenState.combined(
        [a, b], shape: shape, { combine($0[0], $0[1], isKnown: isKnown) })
    else { return }
    context.set(0, result)
  }

  private func combine(
    _ a: (ElementState, Double), _ b: (ElementState, Double), isKnown: Bool
  ) -> (ElementState, Double) {
    let worst = max(a.0, b.0)
    if worst == .poisoned {
      let isMask = keepsMasks && [a, b].allSatisfy { $0.0 < .poisoned || $0.1 == -.infinity }
      return (.poisoned, isMask ? -.infinity : 0)
    }
    if absorption == .product, a.0 == .zero || b.0 == .zero { return (.zero, 0) }
    if absorption == .quotient, a.0 == .zero, b.0 != .zero { return (.zero, 0) }
    if worst == .unknown { return (.unknown, 0) }
    // Rounded constants that are near each other compare one way here and another way in another runtime.
    if result == .truth, worst == .constant, !isKnown { return (.unknown, 0) }
    let value = function(a.1, b.1)
    if !Float(value).isFinite { return (.poisoned, 0) }
    // Of constants, which may be rounded, a difference or a product is not taken for zero.
    let isZero = value == 0 && (worst == .zero || isExact || result == .truth)
    return isZero ? (.zero, 0) : (.constant, value)
  }
}
