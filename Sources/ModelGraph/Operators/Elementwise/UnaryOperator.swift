import PollardBase
import TensorStorage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An operator that computes each element of its result from the same element of its operand.
///
/// Axes: every axis of the operand is that axis of the result. Zeros: zero stays zero exactly when the function of zero is zero; a constant
/// becomes the function of the constant.
struct UnaryOperator: Operator {
  let name: OperatorName
  let formula: String
  let source: String
  let givesTruth: Bool
  /// Whether the result is zero only where the function is, never by rounding.
  let isExact: Bool
  /// The function on one number in double precision, as precise as the standard library; decides what zeros and constants become.
  let function: @Sendable (Double, Node) -> Double
  /// The same on symbolic sizes, for shape arithmetic; nil when it does not stay within sizes.
  let sizes: (@Sendable (Size) -> Size?)?

  init(
    _ name: String, _ formula: String, since version: Int = 0, domain: String = "", source: String? = nil,
    isExact: Bool = false, givesTruth: Bool = false, sizes: (@Sendable (Size) -> Size?)? = nil,
    _ function: @escaping @Sendable (Double, Node) -> Double
  ) {
    self.name = OperatorName(name, domain: domain)
    self.formula = formula
    self.source = source ?? "ONNX \(name)-\(version)"
    self.isExact = isExact
    self.givesTruth = givesTruth
    self.sizes = sizes
    self.function = function
  }

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`, element by element.", shapes: "x, y: `[…]`, equal.", axes: "Every axis is itself.",
      zeros: "`f(0)` if x is zero, `f(c)` if x is the constant c, never zero by rounding.", source: source,
      family: "Element by element: one operand")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, givesTruth ? ValueType(.bool, type.shape) : type)
    guard let sizes, let elements = context.elements(0) else { return }
    context.setElements(
      0, elements.map { element in SymbolicElement(element.size.flatMap { sizes($0) }, origins: element.origins) })
  }

  func relate(_ context: inout AxisContext) { context.pass(0) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    context.set(0, x.mapped(isExact: isExact) { function($0, context.node) })
  }
}
