import ModelGraph
import PollardBase
import TensorStorage

/// Whether two graphs are the same computation apart from the content of their checkpoint tensors.
public enum GraphComparison: Sendable {
  /// They are; each value of the first with its counterpart in the second.
  case same(pairs: [ValueID: ValueID])
  /// They are not; the first difference, as a sentence.
  case different(String)
  /// They are, but for the content of a constant; which one, as a sentence.
  case otherConstant(String)

  /// Compares operators, attributes, wiring, types and constants.
  ///
  /// Initializers in `checkpointTensors` are compared by type and shape only; all others by content too.
  ///
  /// - Throws: what reading a constant throws.
  /// - Complexity: O(nodes + bytes of constants), in memory bounded by a few chunks.
  public init(_ a: Graph, _ b: Graph, checkpointTensors: Set<String>, pool: ThreadPool = ThreadPool(threadCount: 1))
    throws(FormatError)
  {
    var pairs: [ValueID: ValueID] = [:]
    var constant: String?
    if let difference = try Self.firstDifference(a, b, checkpointTensors, pool, &pairs, &constant) {
      self = .different(difference)
    } else if let constant {
      self = .otherConstant(constant)
    } else {
      self = .same(pairs: pairs)
    }
  }

  private static func firstDifference(
    _ a: Graph, _ b: Graph, _ checkpointTensors: Set<String>, _ pool: ThreadPool, _ paired: inout [ValueID: ValueID],
    _ otherConstant: inout String?
  ) throws(FormatError) -> String? {
    guard a.nodes.count == b.nodes.count else { return "\(a.nodes.count) nodes and \(b.nodes.count)" }
    for (x, y) in [(a.inputs, b.inputs), (a.outputs, b.outputs)] {
      guard x.map({ a[$0].name }) == y.map({ b[$0].name }) else { return "other inputs or outputs" }
    }
    for (x, y) in zip(a.inputs, b.inputs) {
      guard haveSameInterface(a[x].type, b[y].type) else {
        return "input \(a[x].name): \(a[x].type?.description ?? "?") and \(b[y].type?.description ?? "?")"
      }
      guard try haveSameDefault(a.derivedInputs[x], b.derivedInputs[y], pool) else {
        return "input \(a[x].name): another default"
      }
      paired[x] = y
    }
    for (x, y) in zip(a.nodes, b.nodes) {
      guard x.version == y.version, try haveSameRegion(x, y, a, b, paired, pool) else {
        return "node \(x.name): another version of \(x.op), or another branch"
      }
      guard x.op == y.op, try haveSameContent(x.attributes, y.attributes, pool), x.inputs.count == y.inputs.count,
        x.outputs.count == y.outputs.count
      else { return "node \(x.name): \(x.op) and \(y.op), or other attributes" }
      for (left, right) in zip(x.inputs, y.inputs) {
        guard let left, let right else {
          if left != nil || right != nil { return "node \(x.name): an operand is missing on one side" }
          continue
        }
        if let known = paired[left] {
          guard known == right else { return "node \(x.name): an operand comes from elsewhere" }
          continue
        }
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
        } else {
          if otherConstant == nil, try !isSame(first, second, pool) {
            otherConstant = "constant \(a[left].name): other content"
          }
        }
        paired[left] = right
      }
      for (left, right) in zip(x.outputs, y.outputs) {
        if let left, let right { paired[left] = right }
      }
    }
    for (x, y) in zip(a.outputs, b.outputs) {
      guard try isCounterpart(x, y, a, b, paired, pool) else { return "output \(a[x].name) comes from elsewhere" }
    }
    return nil
  }

  /// Whether a caller sees the same type: element, rank and numbers; what is open may have another name.
  private static func haveSameInterface(_ a: ValueType?, _ b: ValueType?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    guard a.element == b.element else { return false }
    guard let first = a.shape, let second = b.shape else { return (a.shape == nil) == (b.shape == nil) }
    return first.count == second.count && zip(first, second).allSatisfy { $0.constant == $1.constant }
  }

  /// Whether two inputs are filled alike when they are left out.
  private static func haveSameDefault(
    _ a: DerivedInput?, _ b: DerivedInput?, _ pool: ThreadPool
  ) throws(FormatError) -> Bool {
    guard case .content(let first)? = a, case .content(let second)? = b else { return a == b }
    guard first.type == second.type, first.shape == second.shape else { return false }
    return try isSame(first, second, pool)
  }

  /// Whether two values are known to be each other's, or are constants with the same content.
  private static func isCounterpart(
    _ x: ValueID, _ y: ValueID, _ a: Graph, _ b: Graph, _ paired: [ValueID: ValueID], _ pool: ThreadPool
  ) throws(FormatError) -> Bool {
    if let known = paired[x] { return known == y }
    guard let first = a[x].initializer, let second = b[y].initializer, first.type == second.type,
      first.shape == second.shape
    else { return false }
    return try isSame(first, second, pool)
  }

  /// Whether two nodes run under the same conditions.
  private static func haveSameRegion(
    _ x: Node, _ y: Node, _ a: Graph, _ b: Graph, _ paired: [ValueID: ValueID], _ pool: ThreadPool
  ) throws(FormatError) -> Bool {
    var (left, right) = (x.region, y.region)
    while let first = left, let second = right, a.regions.indices.contains(first), b.regions.indices.contains(second) {
      let (p, q) = (a.regions[first], b.regions[second])
      guard p.runsWhen == q.runsWhen, try isCounterpart(p.condition, q.condition, a, b, paired, pool) else {
        return false
      }
      (left, right) = (p.parent, q.parent)
    }
    return left == nil && right == nil
  }

  /// Whether attributes have equal names and values; tensors among them are compared by content.
  private static func haveSameContent(
    _ a: [String: Attribute], _ b: [String: Attribute], _ pool: ThreadPool
  ) throws(FormatError) -> Bool {
    guard a.count == b.count else { return false }
    for (name, value) in a {
      switch (value, b[name]) {
      case (.tensor(let x), .tensor(let y)?), (.opaque(let x), .opaque(let y)?):
        guard x.type == y.type, x.shape == y.shape, try isSame(x, y, pool) else { return false }
      case (_, let other): if value != other { return false }
      }
    }
    return true
  }

  /// Whether two constants of one type and shape have the same bytes; a tied matrix is as large as the embedding, so neither is held.
  private static func isSame(_ a: Weight, _ b: Weight, _ pool: ThreadPool) throws(FormatError) -> Bool {
    let isAlike = a.outerPermutation == b.outerPermutation
    return try WeightComparison.firstDifference(
      isAlike ? a.withoutOuterPermutation : a, isAlike ? b.withoutOuterPermutation : b, pool: pool) == nil
  }
}
