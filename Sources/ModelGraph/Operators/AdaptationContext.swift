import PollardBase

/// What an operator sees of its node after the axes around it shrank, and the changes it makes to the node.
///
/// Shape operands are replaced at this use only; a constant that other nodes share is left alone.
public struct AdaptationContext {
  /// The node, with attributes still as they were.
  public private(set) var node: Node
  /// The shapes of the operands before.
  public let oldInputs: [[Size]?]
  /// The shapes of the operands now.
  public let newInputs: [[Size]?]
  /// The shapes of the results before.
  public let oldOutputs: [[Size]?]
  /// The shapes that the results must have now.
  public let newOutputs: [[Size]?]
  /// The elements of small integer operands as they stand, by slot.
  public let elements: [Int: [SymbolicElement]]
  /// The positions kept along an operand's axis, nil when all are.
  public let keptPositions: (_ slot: Int, _ axis: Int) -> [Int]?
  package private(set) var replacements: [Int: [Int]] = [:]
  package private(set) var mixedReplacements: [Int: [OperandElement]] = [:]

  package init(
    node: Node, oldInputs: [[Size]?], newInputs: [[Size]?], oldOutputs: [[Size]?], newOutputs: [[Size]?],
    elements: [Int: [SymbolicElement]], keptPositions: @escaping (Int, Int) -> [Int]?
  ) {
    self.node = node
    self.oldInputs = oldInputs
    self.newInputs = newInputs
    self.oldOutputs = oldOutputs
    self.newOutputs = newOutputs
    self.elements = elements
    self.keptPositions = keptPositions
  }

  /// Replaces a shape operand by constants at this use.
  public mutating func replaceOperand(_ slot: Int, with values: [Int]) { replacements[slot] = values }

  /// Replaces a shape operand at this use by numbers mixed with elements of the operand that stands there now.
  public mutating func replaceOperand(_ slot: Int, withElements elements: [OperandElement]) {
    let numbers = elements.compactMap { if case .number(let value) = $0 { value } else { nil } }
    if numbers.count == elements.count { replacements[slot] = numbers } else { mixedReplacements[slot] = elements }
  }

  /// Sets an attribute.
  public mutating func setAttribute(_ name: String, _ value: Attribute) { node.attributes[name] = value }

  /// Removes an attribute.
  public mutating func removeAttribute(_ name: String) { node.attributes[name] = nil }

  /// The error for a change this operator cannot express.
  public func failure(_ what: String) -> CompactionError {
    CompactionError(.notExpressible, subject: .node(node.name), found: what)
  }
}

/// One element of a shape operand that replaces another.
public enum OperandElement: Sendable, Hashable {
  /// A number.
  case number(Int)
  /// The element at an index of the operand before, computed when the model runs.
  case original(Int)
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// A cut leaves a shape that an operator cannot express.
  public static let notExpressible = Self("notExpressible", "the smaller shape cannot be expressed")
}
