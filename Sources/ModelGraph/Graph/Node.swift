import TensorStorage

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
  /// A list of byte strings.
  case strings([String])
  /// A tensor.
  case tensor(Weight)
  /// A payload kept as bytes for writing, such as the body of a loop, which `Node.bodies` holds as a graph.
  case opaque(Weight)
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
  /// The version of the operator set by which the node is read; definitions differ in form (axes as an attribute or as an operand) and
  /// sometimes in meaning (Softmax before 13).
  public var version: Int
  /// The branch the node belongs to, as an index into `Graph.regions`; nil when it always runs.
  public var region: Int?
  /// The number that the reader of a file gave the node, so that a writer finds what it was read from; nil for a node made here.
  public var source: Int?
  /// The graphs that the node runs.
  public var bodies: [NodeBody] = []

  /// The newest version of ONNX's own operator set that the program describes.
  public static let currentVersion = 28

  /// Creates a node.
  public init(
    _ op: OperatorName, name: String, inputs: [ValueID?], outputs: [ValueID?], attributes: [String: Attribute] = [:],
    scope: String = "", version: Int = Node.currentVersion, region: Int? = nil, source: Int? = nil
  ) {
    self.op = op
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.scope = scope
    self.version = version
    self.region = region
    self.source = source
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

  /// A float attribute in double precision, or its default as a file would store it.
  func number(_ name: String, default value: Float) -> Double { Double(float(name) ?? value) }

  /// A list-of-integers attribute, or nil when it is left out.
  public func integers(_ name: String) -> [Int]? {
    if case .integers(let found)? = attributes[name] { return found }
    return nil
  }

  /// A list-of-floats attribute, or nil when it is left out.
  public func floats(_ name: String) -> [Float]? {
    if case .floats(let found)? = attributes[name] { return found }
    return nil
  }

  /// A string attribute, or nil when it is left out.
  public func string(_ name: String) -> String? {
    if case .string(let found)? = attributes[name] { return found }
    return nil
  }
}
