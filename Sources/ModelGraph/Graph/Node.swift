/// An attribute of a node: a value fixed when the graph is written.
public enum Attribute: Sendable, Hashable {
  /// A 64-bit integer.
  case integer(Int)
  /// A list of 64-bit integers.
  case integers([Int])
  /// A single-precision number.
  case float(Float)
  /// A list of single-precision numbers.
  case floats([Float])
  /// A byte string, usually text.
  case string(String)
}

/// The name of an operator within its domain; the empty domain is `ai.onnx`.
public struct OperatorName: Sendable, Hashable, CustomStringConvertible {
  /// The operator set the name belongs to.
  public var domain: String
  /// The operator's name in the set.
  public var name: String

  /// Creates a name; the default domain is ONNX's own.
  public init(_ name: String, domain: String = "") {
    self.domain = domain
    self.name = name
  }

  /// The name, with its domain in front unless that is ONNX's own.
  public var description: String { domain.isEmpty ? name : "\(domain).\(name)" }
}

/// One application of an operator.
public struct Node: Sendable {
  /// The operator.
  public var op: OperatorName
  /// The node's name, unique within the graph; for people only.
  public var name: String
  /// The operands by slot; nil for an optional operand left out.
  public var inputs: [ValueID?]
  /// The results by slot; nil for an optional result nobody wants.
  public var outputs: [ValueID?]
  /// Attributes by name; those left out have the operator's default.
  public var attributes: [String: Attribute]
  /// The place in the model the node belongs to, such as `encoder.layer.3.attention`; a label, never used for correctness.
  public var scope: String

  /// Creates a node.
  public init(
    _ op: OperatorName, name: String, inputs: [ValueID?], outputs: [ValueID?], attributes: [String: Attribute] = [:],
    scope: String = ""
  ) {
    self.op = op
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.scope = scope
  }

  /// The operand of a slot, or nil when it is left out.
  public func input(_ slot: Int) -> ValueID? { slot < inputs.count ? inputs[slot] : nil }

  /// An integer attribute, or its default.
  public func integer(_ name: String, default value: Int) -> Int {
    if case .integer(let found)? = attributes[name] { return found }
    return value
  }

  /// A float attribute, or nil when it is left out.
  public func float(_ name: String) -> Float? {
    if case .float(let found)? = attributes[name] { return found }
    return nil
  }

  /// A list-of-integers attribute, or nil when it is left out.
  public func integers(_ name: String) -> [Int]? {
    if case .integers(let found)? = attributes[name] { return found }
    return nil
  }

  /// A string attribute, or nil when it is left out.
  public func string(_ name: String) -> String? {
    if case .string(let found)? = attributes[name] { return found }
    return nil
  }
}
