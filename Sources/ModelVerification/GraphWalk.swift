import ModelGraph
import PollardBase
import TensorStorage

/// Two graphs that are walked side by side, node by node.
struct GraphWalk {
  private let a: Graph
  private let b: Graph
  private let checkpointTensors: Set<String>
  private let pool: ThreadPool
  /// Values of the first with their counterparts in the second, as far as the walk has come.
  private(set) var paired: [ValueID: ValueID] = [:]
  /// The first constant whose content differs, as a sentence.
  private(set) var otherConstant: String?

  init(_ a: Graph, _ b: Graph, checkpointTensors: Set<String>, _ pool: ThreadPool) {
    self.a = a
    self.b = b
    self.checkpointTensors = checkpointTensors
    self.pool = pool
  }

  /// The first difference other than the content of a constant, as a sentence.
  mutating func firstDifference() throws(FormatError) -> String? {
    for (x, y) in [(a.inputs, b.inputs), (a.outputs, b.outputs)] {
      guard x.map({ a[$0].name }) == y.map({ b[$0].name }) else {
        return a.nodes.count == b.nodes.count ? "other inputs or outputs" : countDifference
      }
    }
    return try firstDifferenceByPosition()
  }

  private var countDifference: String { "\(a.nodes.count) nodes and \(b.nodes.count)" }

  /// As `firstDifference`; inputs and outputs are each other's by their place, as in the body of a loop, where names mean nothing.
  private mutating func firstDifferenceByPosition() throws(FormatError) -> String? {
    guard a.nodes.count == b.nodes.count else { return countDifference }
    guard a.inputs.count == b.inputs.count, a.outputs.count == b.outputs.count else { return "other inputs or outputs" }
    for (x, y) in zip(a.inputs, b.inputs) {
      guard haveSameInterface(a[x].type, b[y].type) else {
        return "input \(a[x].name): \(a[x].type?.description ?? "?") and \(b[y].type?.description ?? "?")"
      }
      guard try haveSameDefault(a.derivedInputs[x], b.derivedInputs[y]) else {
        return "input \(a[x].name): another default"
      }
      paired[x] = y
    }
    for (x, y) in zip(a.nodes, b.nodes) { if let difference = try firstDifference(x, y) { return difference } }
    for (x, y) in zip(a.outputs, b.outputs) {
      guard try isCounterpart(x, y) else { return "output \(a[x].name) comes from elsewhere" }
    }
    return nil
  }

  private mutating func firstDifference(_ x: Node, _ y: Node) throws(FormatError) -> String? {
    guard x.version == y.version, try haveSameRegion(x, y) else {
      return "node \(x.name): another version of \(x.op), or another branch"
    }
    let bodies = x.bodies.map(\.attribute)
    guard x.op == y.op, try haveSameAttributes(x, y, except: Set(bodies)), bodies == y.bodies.map(\.attribute),
      x.inputs.count == y.inputs.count, x.outputs.count == y.outputs.count
    else { return "node \(x.name): \(x.op) and \(y.op), or other attributes" }
    for (left, right) in zip(x.inputs, y.inputs) {
      guard let left, let right else {
        if left != nil || right != nil { return "node \(x.name): an operand is missing on one side" }
        continue
      }
      if let difference = try pairOperands(left, right, of: x) { return difference }
    }
    for (left, right) in zip(x.bodies, y.bodies) {
      if let difference = try firstDifference(left, right) {
        return "node \(x.name), \(left.attribute): \(difference)"
      }
    }
    for (left, right) in zip(x.outputs, y.outputs) {
      if let left, let right { paired[left] = right }
    }
    return nil
  }

  /// Makes two operands each other's, when they can be.
  private mutating func pairOperands(_ left: ValueID, _ right: ValueID, of x: Node) throws(FormatError) -> String? {
    if let known = paired[left] { return known == right ? nil : "node \(x.name): an operand comes from elsewhere" }
    guard let first = a[left].initializer, let second = b[right].initializer else {
      return "node \(x.name): an operand comes from elsewhere"
    }
    guard first.type == second.type, first.shape == second.shape else {
      return "\(a[left].name): \(first.type)\(first.shape) and \(second.type)\(second.shape)"
    }
    if checkpointTensors.contains(a[left].name), checkpointTensors.contains(b[right].name) {
      guard a[left].name == b[right].name else {
        return "node \(x.name): reads \(a[left].name) on one side and \(b[right].name) on the other"
      }
    } else if otherConstant == nil, try !isSame(first, second) {
      otherConstant = "constant \(a[left].name): other content"
    }
    paired[left] = right
    return nil
  }

  /// Compares graphs that two nodes run. No tensor of a checkpoint is defined in them; those around them are operands of the node.
  private mutating func firstDifference(_ x: NodeBody, _ y: NodeBody) throws(FormatError) -> String? {
    guard x.operandCount == y.operandCount, x.captures == y.captures else { return "other values around it" }
    for (first, second) in [(x.parameterTypes, y.parameterTypes), (x.resultTypes, y.resultTypes)] {
      guard first.count == second.count, zip(first, second).allSatisfy({ haveSameInterface($0, $1) }) else {
        return "other types of parameters or results"
      }
    }
    var walk = GraphWalk(x.graph, y.graph, checkpointTensors: [], pool)
    if let difference = try walk.firstDifferenceByPosition() { return difference }
    otherConstant = otherConstant ?? walk.otherConstant
    return nil
  }

  /// Whether a caller sees the same type: element, rank and numbers; what is open may have another name.
  private func haveSameInterface(_ a: ValueType?, _ b: ValueType?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    guard a.element == b.element else { return false }
    guard let first = a.shape, let second = b.shape else { return (a.shape == nil) == (b.shape == nil) }
    return first.count == second.count && zip(first, second).allSatisfy { $0.constant == $1.constant }
  }

  /// Whether two inputs are filled alike when they are left out.
  private func haveSameDefault(
    _ a: DerivedInput?, _ b: DerivedInput?
  ) throws(FormatError) -> Bool {
    guard case .content(let first)? = a, case .content(let second)? = b else { return a == b }
    guard first.type == second.type, first.shape == second.shape else { return false }
    return try isSame(first, second)
  }

  /// Whether two values are known to be each other's, or are constants with the same content.
  private func isCounterpart(_ x: ValueID, _ y: ValueID) throws(FormatError) -> Bool {
    if let known = paired[x] { return known == y }
    guard let first = a[x].initializer, let second = b[y].initializer, first.type == second.type,
      first.shape == second.shape
    else { return false }
    return try isSame(first, second)
  }

  /// Whether two nodes run under the same conditions.
  private func haveSameRegion(_ x: Node, _ y: Node) throws(FormatError) -> Bool {
    var (left, right) = (x.region, y.region)
    while let first = left, let second = right, a.regions.indices.contains(first), b.regions.indices.contains(second) {
      let (p, q) = (a.regions[first], b.regions[second])
      guard p.runsWhen == q.runsWhen, try isCounterpart(p.condition, q.condition) else {
        return false
      }
      (left, right) = (p.parent, q.parent)
    }
    return left == nil && right == nil
  }

  /// Whether attributes have equal names and values; tensors among them are compared by content. Those that are graphs which the nodes
  /// run are left out: their bytes tell how a file was written, not what is computed.
  private func haveSameAttributes(_ x: Node, _ y: Node, except bodies: Set<String>) throws(FormatError) -> Bool {
    guard x.attributes.count == y.attributes.count else { return false }
    for (name, value) in x.attributes {
      switch (value, y.attributes[name]) {
      case (.opaque, .opaque?) where bodies.contains(name): continue
      case (.tensor(let first), .tensor(let second)?), (.opaque(let first), .opaque(let second)?):
        guard first.type == second.type, first.shape == second.shape, try isSame(first, second) else { return false }
      case (_, let other): if value != other { return false }
      }
    }
    return true
  }

  /// Whether two constants of one type and shape have the same bytes; a tied matrix is as large as the embedding, so neither is held.
  private func isSame(_ a: Weight, _ b: Weight) throws(FormatError) -> Bool {
    let isAlike = a.outerPermutation == b.outerPermutation
    return try WeightComparison.firstDifference(
      isAlike ? a.withoutOuterPermutation : a, isAlike ? b.withoutOuterPermutation : b, pool: pool) == nil
  }
}
