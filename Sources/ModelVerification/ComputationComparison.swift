import ModelGraph
import PollardBase
import TensorStorage

/// What two graphs of one architecture compute differently, apart from the content of their parameters.
///
/// A checkpoint and its conversion are built by the same rules, so that operators, attributes (an epsilon, an activation, a window) and
/// computed constants (rotary frequencies, slopes, scales) are equal one by one. Parameters are matched by the part they play: their
/// bytes are another proof's.
public struct ComputationComparison: Sendable {
  /// What differs, as sentences; the first few, and how many more.
  public private(set) var differences: [String] = []
  /// Numbers that are the same but for the precision that models of another type have, as the scale of Gemma's embeddings is; as sentences.
  public private(set) var remarks: [String] = []
  /// Matrices that one graph ties to another parameter (`X (transposed)`) and the other has apart: their content is still to be compared.
  public private(set) var separated: [(first: String, second: String)] = []
  private var more = 0

  /// The sentences that are shown.
  private static let limit = 4

  /// Compares what leads to the outputs that both graphs have.
  ///
  /// - Parameters:
  ///   - roles: for either graph the part that an initializer plays, by its name; one without is a constant, compared by content.
  /// - Throws: what reading a constant throws.
  /// - Complexity: O(nodes + bytes of constants), in memory bounded by a few chunks.
  public init(
    _ a: Graph, _ b: Graph, roles: (first: [String: String], second: [String: String]), pool: ThreadPool
  ) throws(FormatError) {
    try compare(a, b, roles, pool)
    if more > 0 { differences.append("and \(more) more of the computation") }
  }

  private mutating func compare(
    _ a: Graph, _ b: Graph, _ roles: (first: [String: String], second: [String: String]), _ pool: ThreadPool
  ) throws(FormatError) {
    let (left, right) = (Self.part(of: a, sharedWith: b), Self.part(of: b, sharedWith: a))
    var paired: [ValueID: ValueID] = [:]
    for id in a.inputs { paired[id] = b.inputs.first { b[$0].name == a[id].name } }
    for (x, y) in zip(left, right) {
      guard x.op == y.op, x.version == y.version, x.inputs.count == y.inputs.count, x.outputs.count == y.outputs.count
      else {
        add("\(Self.place(x)): \(x.op) in the original, \(y.op) in the other")
        return
      }
      try compareAttributes(x, y, pool)
      for (slot, operands) in zip(x.inputs, y.inputs).enumerated() {
        guard let p = operands.0, let q = operands.1 else {
          if operands.0 != nil || operands.1 != nil { add("\(Self.place(x)): operand \(slot) is missing on one side") }
          continue
        }
        if let known = paired[p] {
          if known != q { add("\(Self.place(x)): operand \(slot) comes from elsewhere") }
          continue
        }
        guard let first = a[p].initializer, let second = b[q].initializer else {
          add("\(Self.place(x)): operand \(slot) comes from elsewhere")
          continue
        }
        paired[p] = q
        let (role, other) = (roles.first[a[p].name], roles.second[b[q].name])
        guard first.type == second.type, first.shape == second.shape else {
          add(
            "\(role ?? a[p].name): \(first.type)\(first.shape) in the original, \(second.type)\(second.shape) in the other"
          )
          continue
        }
        if role != nil || other != nil {
          let tie = " (transposed)"
          if let role, let other, role != other, role.hasSuffix(tie) != other.hasSuffix(tie) {
            separated.append((role, other))
          } else if role != other {
            add("\(Self.place(x)) reads \(role ?? "a constant") in the original, \(other ?? "a constant") in the other")
          }
        } else if let element = try Self.firstDifference(first, second, pool) {
          let text = try Self.elements(element, first, second)
          if try Self.isRoundedNumber(first, second) {
            remarks.append(escapedForTerminal("\(a[p].name) is rounded to the type of the weights: \(text)"))
          } else {
            add("constant \(a[p].name): \(text)")
          }
        }
      }
      for (p, q) in zip(x.outputs, y.outputs) { if let p, let q { paired[p] = q } }
    }
    if left.count != right.count {
      let (longer, place) = left.count > right.count ? (left, "original") : (right, "other")
      add("\(Self.place(longer[min(left.count, right.count)])) is in the \(place) only")
    }
    for id in a.outputs {
      guard let other = b.outputs.first(where: { b[$0].name == a[id].name }) else { continue }
      if paired[id] != other { add("output \(a[id].name) comes from elsewhere") }
    }
  }

  private mutating func add(_ sentence: String) {
    if differences.count < Self.limit { differences.append(escapedForTerminal(sentence)) } else { more += 1 }
  }

  /// The nodes that lead to outputs which another graph has by name.
  private static func part(of graph: Graph, sharedWith other: Graph) -> [Node] {
    let names = Set(other.outputs.map { other[$0].name })
    var needed = Set(graph.outputs.filter { names.contains(graph[$0].name) })
    var result: [Node] = []
    for node in graph.nodes.reversed() where node.outputs.contains(where: { $0.map(needed.contains) ?? false }) {
      needed.formUnion(node.inputs.compactMap { $0 })
      result.append(node)
    }
    return result.reversed()
  }

  private mutating func compareAttributes(_ x: Node, _ y: Node, _ pool: ThreadPool) throws(FormatError) {
    for name in Set(x.attributes.keys).union(y.attributes.keys).sorted() {
      let (first, second) = (x.attributes[name], y.attributes[name])
      switch (first, second) {
      case (.tensor(let p)?, .tensor(let q)?), (.opaque(let p)?, .opaque(let q)?):
        if p.type == q.type, p.shape == q.shape, try Self.firstDifference(p, q, pool) == nil { continue }
        add("\(Self.place(x)): another \(name)")
      default:
        if first == second { continue }
        add(
          "\(Self.place(x)): \(name) is \(first.map(Self.text) ?? "absent") in the original, "
            + "\(second.map(Self.text) ?? "absent") in the other")
      }
    }
  }

  /// What a person finds a node by: the module and the operator.
  private static func place(_ node: Node) -> String { node.name }

  private static func text(_ attribute: Attribute) -> String {
    switch attribute {
    case .integer(let value): "\(value)"
    case .integers(let values): "\(values)"
    case .float(let value): "\(value)"
    case .floats(let values): "\(values)"
    case .string(let value): "\"\(value)\""
    case .strings(let values): "\(values)"
    case .tensor(let value), .opaque(let value): "\(value.type)\(value.shape)"
    }
  }

  private static func firstDifference(_ a: Weight, _ b: Weight, _ pool: ThreadPool) throws(FormatError) -> Int? {
    let isAlike = a.outerPermutation == b.outerPermutation
    return try WeightComparison.firstDifference(
      isAlike ? a.withoutOuterPermutation : a, isAlike ? b.withoutOuterPermutation : b, pool: pool)
  }

  /// Whether two single numbers are one number, which one of them is rounded to half precision or BF16.
  private static func isRoundedNumber(_ a: Weight, _ b: Weight) throws(FormatError) -> Bool {
    guard a.type == .f32, a.shape.elementCount == 1 else { return false }
    let (x, y) = (try a.floats(), try b.floats())
    for type in [ElementType.f16, .bf16] {
      let (roundedX, roundedY) = (
        try a.cast(to: type).cast(to: .f32).floats(), try b.cast(to: type).cast(to: .f32).floats()
      )
      if roundedX == y || roundedY == x { return true }
    }
    return false
  }

  /// An element of two constants, in words.
  private static func elements(_ index: Int, _ a: Weight, _ b: Weight) throws(FormatError) -> String {
    guard a.type == .f32, a.shape.elementCount <= 1 << 16 else { return "other content from element \(index) on" }
    let (x, y) = (try a.floats(), try b.floats())
    guard x.indices.contains(index), y.indices.contains(index) else { return "other content from element \(index) on" }
    return "element \(index) is \(x[index]) in the original, \(y[index]) in the other"
  }
}
