import PollardBase
import TensorStorage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An operator on two operands, element by element, that repeats axes of extent 1.
///
/// Axes: right-aligned axes are the same; an axis of extent 1 takes the other's. Zeros: the result is known when both operands are; a product
/// is zero when either factor is and the other is finite, a quotient when the dividend is.
struct BinaryOperator: Operator {
  /// What one certain operand says about the result on its own.
  enum Absorption: Sendable {
    case none, product, quotient
  }

  let name: OperatorName
  let formula: String
  let source: String
  let absorption: Absorption
  let givesTruth: Bool
  let function: @Sendable (Float, Float) -> Float
  /// The same on symbolic sizes, for shape arithmetic; nil when it does not stay within sizes.
  let sizes: (@Sendable (Size, Size) -> Size?)?

  init(
    _ name: String, _ formula: String, since version: Int, absorption: Absorption = .none, givesTruth: Bool = false,
    sizes: (@Sendable (Size, Size) -> Size?)? = nil, _ function: @escaping @Sendable (Float, Float) -> Float
  ) {
    self.name = OperatorName(name)
    self.formula = formula
    self.source = "ONNX \(name)-\(version)"
    self.absorption = absorption
    self.givesTruth = givesTruth
    self.sizes = sizes
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
      source: source)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let shape = try context.broadcast([context.shape(0), context.shape(1)])
    context.set(0, ValueType(givesTruth ? .bool : context.element(0) ?? context.element(1) ?? .f32, shape))
    guard let a = context.elements(0), let b = context.elements(1), a.count == b.count || a.count == 1 || b.count == 1
    else { return }
    context.setElements(
      0,
      (0..<max(a.count, b.count)).map { index in
        let x = a[a.count == 1 ? 0 : index]
        let y = b[b.count == 1 ? 0 : index]
        return SymbolicElement(combine(x.size, y.size), origins: x.origins.union(y.origins))
      })
  }

  private func combine(_ x: Size?, _ y: Size?) -> Size? {
    guard let x, let y else { return nil }
    if let result = sizes?(x, y) { return result }
    if sizes != nil, !givesTruth { return .symbol("\(name.name)(\(x), \(y))") }
    return nil
  }

  func relate(_ context: inout AxisContext) {
    context.passBroadcasting(0)
    context.passBroadcasting(1)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let a = try context.state(0), let b = try context.state(1), let shape = context.resultShape(),
      let indexA = BroadcastIndex(from: a.shape, to: shape), let indexB = BroadcastIndex(from: b.shape, to: shape)
    else { return }
    var result = TokenState(shape: shape, all: .unknown)
    for index in result.states.indices {
      let i = indexA[index]
      let j = indexB[index]
      let (state, value) = combine(a.states[i], a.constants[i], b.states[j], b.constants[j])
      result.states[index] = state
      result.constants[index] = value
    }
    context.set(0, result)
  }

  private func combine(_ a: ElementState, _ x: Float, _ b: ElementState, _ y: Float) -> (ElementState, Float) {
    let worst = max(a, b)
    if worst == .poisoned { return (.poisoned, 0) }
    if absorption == .product, a == .zero || b == .zero { return (.zero, 0) }
    if absorption == .quotient, a == .zero, b != .zero { return (.zero, 0) }
    if worst == .unknown { return (.unknown, 0) }
    let value = function(x, y)
    if !value.isFinite { return (.poisoned, 0) }
    // Of constants, which may be rounded, a difference or a product is not taken for zero.
    let isZero = value == 0 && (worst == .zero || name.name == "Max" || name.name == "Min")
    return isZero ? (.zero, 0) : (.constant, value)
  }

  static let all: [BinaryOperator] = [
    BinaryOperator("Add", "a + b", since: 14, sizes: { $0.adding($1) }) { $0 + $1 },
    BinaryOperator("Sub", "a - b", since: 14, sizes: { $0.subtracting($1) }) { $0 - $1 },
    BinaryOperator("Mul", "a · b", since: 14, absorption: .product, sizes: { $0.multiplied(by: $1) }) { $0 * $1 },
    BinaryOperator("Div", "a / b", since: 14, absorption: .quotient, sizes: { $0.dividedExactly(by: $1) }) { $0 / $1 },
    BinaryOperator("Pow", "a^b", since: 15) { powf($0, $1) },
    BinaryOperator("Max", "max(a, b)", since: 13) { max($0, $1) },
    BinaryOperator("Min", "min(a, b)", since: 13) { min($0, $1) },
    BinaryOperator(
      "Equal", "a = b", since: 19, givesTruth: true, sizes: { $0 == $1 ? Size(1) : decide($0, $1) { $0 == $1 } }
    ) {
      $0 == $1 ? 1 : 0
    },
    BinaryOperator("Less", "a < b", since: 13, givesTruth: true, sizes: { decide($0, $1) { $0 < $1 } }) {
      $0 < $1 ? 1 : 0
    },
    BinaryOperator("LessOrEqual", "a ≤ b", since: 16, givesTruth: true, sizes: { decide($0, $1) { $0 <= $1 } }) {
      $0 <= $1 ? 1 : 0
    },
    BinaryOperator("Greater", "a > b", since: 13, givesTruth: true, sizes: { decide($0, $1) { $0 > $1 } }) {
      $0 > $1 ? 1 : 0
    },
    BinaryOperator("GreaterOrEqual", "a ≥ b", since: 16, givesTruth: true, sizes: { decide($0, $1) { $0 >= $1 } }) {
      $0 >= $1 ? 1 : 0
    },
    BinaryOperator("And", "a and b", since: 7, absorption: .product, givesTruth: true) { $0 != 0 && $1 != 0 ? 1 : 0 },
    BinaryOperator("Or", "a or b", since: 7, givesTruth: true) { $0 != 0 || $1 != 0 ? 1 : 0 },
  ]

  /// A comparison of sizes where it is certain: of known numbers, or of a positive size with a number that is not.
  private static func decide(_ a: Size, _ b: Size, _ compare: (Int, Int) -> Bool) -> Size? {
    if let x = a.constant, let y = b.constant { return Size(compare(x, y) ? 1 : 0) }
    if let y = b.constant, y <= 0, a.isPositive { return Size(compare(1, y) ? 1 : 0) }
    if let x = a.constant, x <= 0, b.isPositive { return Size(compare(x, 1) ? 1 : 0) }
    return nil
  }
}

/// Maps an element of a broadcast result to the element of an operand, both in row-major order.
struct BroadcastIndex {
  private let strides: [(extent: Int, stride: Int)]

  /// Nil when the operand does not broadcast to the result.
  init?(from operand: [Int], to result: [Int]) {
    guard operand.count <= result.count else { return nil }
    let padded = Array(repeating: 1, count: result.count - operand.count) + operand
    var strides: [(extent: Int, stride: Int)] = []
    var stride = 1
    for (extent, target) in zip(padded, result).reversed() {
      guard extent == target || extent == 1 else { return nil }
      strides.append((target, extent == 1 ? 0 : stride))
      stride *= extent
    }
    self.strides = strides
  }

  /// The operand's element for a result's element.
  subscript(index: Int) -> Int {
    var rest = index
    var result = 0
    for (extent, stride) in strides {
      result += (rest % extent) * stride
      rest /= extent
    }
    return result
  }
}
