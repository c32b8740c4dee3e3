import PollardBase

/// What the program knows about an operator: its shapes, how its axes relate, what zeros become, and its documentation.
///
/// Each operator is one type in one file. Evaluation lives in the interpreter; nothing here looks at files or runs a model.
public protocol Operator: Sendable {
  /// The operator's name and domain.
  var name: OperatorName { get }
  /// The text of the operator table.
  var documentation: OperatorDocumentation { get }
  /// The input slots that must be present.
  var requiredInputs: Int { get }
  /// Input slots that hold a shape, bounds or axes, whose numbers the rewriting keeps consistent.
  var shapeOperands: Set<Int> { get }

  /// Sets the type of each result, and the elements of small integer results.
  func infer(_ context: inout InferenceContext) throws(GraphError)

  /// States how every axis of every operand and result relates to the others. What a rule leaves out is pinned.
  func relate(_ context: inout AxisContext)

  /// States which elements of the results are certainly zero or constant, given the operands'.
  func propagate(_ context: inout ZeroContext) throws(FormatError)

  /// Changes attributes and shape operands of a node after its operands shrank.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError)
}

extension Operator {
  public var requiredInputs: Int { 1 }
  public var shapeOperands: Set<Int> { [] }
  public func propagate(_ context: inout ZeroContext) throws(FormatError) {}
  public func adapt(_ context: inout AdaptationContext) throws(CompactionError) {}
}

/// The text about an operator in the generated operator table.
public struct OperatorDocumentation: Sendable {
  /// What it computes, in one line, with the formula.
  public var summary: String
  /// The shapes of operands and results, with named dimensions.
  public var shapes: String
  /// How the axes relate.
  public var axes: String
  /// What a zero or a constant at an index becomes.
  public var zeros: String
  /// Where the definition comes from: an operator-set version or a paper.
  public var source: String
  /// The family that shares shapes and axes, such as `Element by element: one operand`; empty for an operator of its own.
  public var family: String

  /// Creates the text of one operator.
  public init(summary: String, shapes: String, axes: String, zeros: String, source: String, family: String = "") {
    self.summary = summary
    self.shapes = shapes
    self.axes = axes
    self.zeros = zeros
    self.source = source
    self.family = family
  }
}
