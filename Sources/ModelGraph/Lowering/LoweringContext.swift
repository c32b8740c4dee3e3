import PollardBase
import TensorStorage

/// What a lowering rule sees of its node, and where it puts what replaces it.
struct LoweringContext {
  /// The node, in its newest form.
  let node: Node
  private let rule: Lowering
  private let lowerer: Lowerer
  /// The name that names of new values begin with.
  private var prefix: String

  init(node: Node, rule: Lowering, lowerer: Lowerer) {
    self.node = node
    self.rule = rule
    self.lowerer = lowerer
    prefix = node.name
  }

  /// The operator set that is wanted.
  var operatorSet: Int { lowerer.operatorSet }

  // MARK: Reading

  /// The type of a value.
  func type(_ id: ValueID?) -> ValueType? { id.flatMap { lowerer.graph[$0].type } }

  /// The shape of a value.
  func shape(_ id: ValueID?) -> [Size]? { type(id)?.shape }

  /// An operand that must be there.
  func operand(_ slot: Int) throws(GraphError) -> ValueID {
    guard let id = node.input(slot) else { throw failure(expected: "operand \(slot) of \(node.op)", found: "none") }
    return id
  }

  /// The numbers of a constant operand; nil when there is no such operand.
  func constants(_ slot: Int) throws(GraphError) -> [Int]? {
    guard let id = node.input(slot) else { return nil }
    guard let found = lowerer.constants(id) else {
      throw failure(expected: "constant numbers in operand \(slot) of \(node.op)", found: "computed ones")
    }
    return found
  }

  /// An axis attribute counted from the outermost.
  func axis(default value: Int, rank: Int) -> Int {
    let axis = node.integer("axis", default: value)
    return axis < 0 ? axis + rank : axis
  }

  /// An error that says what of the node the wanted operator set cannot say.
  func failure(expected: String, found: String) -> GraphError {
    GraphError(
      .unsupported, subject: .node(node.name), expected: expected, found: "\(found) for operator set \(operatorSet)",
      remedy: "ask for operator set \(rule.since) or newer")
  }

  /// Refuses attributes other than those of a list, unless they say nothing.
  func requireNeutral(_ neutral: [String: Attribute]) throws(GraphError) {
    for (name, value) in neutral.sorted(by: { $0.key < $1.key }) {
      if let found = node.attributes[name], found != value {
        throw failure(expected: "\(name) \(value.text) of \(node.op)", found: found.text)
      }
    }
  }

  /// Refuses results other than the first.
  func requireOneResult() throws(GraphError) {
    if node.outputs.dropFirst().contains(where: { $0 != nil }) {
      throw failure(expected: "one result of \(node.op)", found: "\(node.outputs.compactMap { $0 }.count)")
    }
  }

  // MARK: Writing

  /// Adds a constant list of integers.
  mutating func integers(_ values: [Int]) -> ValueID {
    constant(.integers(values.map(Int64.init), shape: [values.count]))
  }

  /// Adds an integer scalar.
  mutating func integerScalar(_ value: Int) -> ValueID { constant(.integers([Int64(value)], shape: [])) }

  /// Adds a scalar of an element type.
  mutating func scalar(_ value: Float, _ element: ElementType = .f32) -> ValueID {
    constant(Weight.floats([value], shape: []).cast(to: element))
  }

  private mutating func constant(_ weight: Weight) -> ValueID {
    let type = ValueType(weight.type, weight.shape.extents.map { Size($0) })
    return lowerer.addValue(
      Value(name: lowerer.uniqueName("\(prefix)/constant"), type: type, initializer: weight))
  }

  /// Adds a node with one result.
  mutating func add(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:]
  ) throws(GraphError) -> ValueID {
    try add(op, inputs, attributes, outputs: 1)[0]
  }

  /// Adds a node with several results; it is lowered in turn.
  mutating func add(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:], outputs count: Int
  ) throws(GraphError) -> [ValueID] {
    let name = lowerer.uniqueName("\(prefix)/\(op)")
    var outputs: [ValueID] = []
    for slot in 0..<count {
      let wish = count == 1 ? name : "\(name).\(slot)"
      outputs.append(lowerer.addValue(Value(name: count == 1 ? name : lowerer.uniqueName(wish))))
    }
    let made = Node(
      OperatorName(op), name: name, inputs: inputs, outputs: outputs, attributes: attributes, scope: node.scope,
      region: node.region)
    try lowerer.infer(made)
    try lowerer.lower(made)
    return outputs
  }

  /// Adds the node that provides the results of the replaced one.
  mutating func finish(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:]
  ) throws(GraphError) {
    try lowerer.lower(
      Node(
        OperatorName(op), name: node.name, inputs: inputs, outputs: node.outputs, attributes: attributes,
        scope: node.scope, region: node.region))
  }

  /// Adds the node itself in the form it had before the version that the rule is about.
  mutating func finish(inputs: [ValueID?], attributes: [String: Attribute]) throws(GraphError) {
    var older = node
    older.inputs = inputs
    while let last = older.inputs.last, last == nil { older.inputs.removeLast() }
    older.attributes = attributes
    older.version = rule.since - 1
    try lowerer.lower(older)
  }

  /// Adds the node as it is, for the next older form.
  mutating func finishUnchanged() throws(GraphError) {
    try finish(inputs: node.inputs, attributes: node.attributes)
  }

  /// Gives a value that was made before for the same operands and sizes, or makes it under a name of its own.
  ///
  /// Equal sizes are equal numbers whenever the model runs, so what depends on sizes alone serves every node.
  mutating func shared(
    _ kind: String, _ operands: [ValueID?] = [], sizes: [Size] = [],
    _ make: (inout LoweringContext) throws(GraphError) -> ValueID
  ) throws(GraphError) -> ValueID {
    let key = SharedValue(kind: kind, operands: operands, sizes: sizes, region: node.region)
    if let known = lowerer.shared[key] { return known }
    let before = prefix
    prefix = kind
    let made = try make(&self)
    prefix = before
    lowerer.shared[key] = made
    return made
  }
}
