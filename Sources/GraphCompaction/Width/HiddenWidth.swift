import ModelGraph
import PollardBase

/// The residual channels of a model whose norms divide by the root mean square, and everything that carries them.
///
/// Channel j of the residual stream is written by columns of embeddings, by rows of output and down projections and by their biases; it is read
/// by norms alone. Found from the axis rules of the operators: no architecture and no name is needed.
public struct HiddenWidth: Sendable {
  /// A constant that carries the channels along one axis.
  public struct Use: Sendable, Hashable {
    /// The constant.
    public var value: ValueID
    /// The axis.
    public var axis: Int

    /// Creates a use.
    public init(value: ValueID, axis: Int) {
      self.value = value
      self.axis = axis
    }
  }

  /// What happens on the way from a table or a norm: products with constant numbers.
  struct Path: Sendable {
    /// The nodes that multiply.
    var products: [Int] = []
  }

  /// A table whose rows enter the stream.
  struct Table: Sendable {
    var use: Use
    var path = Path()
  }

  /// A norm over the channels.
  struct Norm: Sendable {
    var node: Int
    var scale: Use
    /// What comes before the matrices that read the result, and these.
    var readers: [(path: Path, use: Use)] = []
    /// What comes before the sums with the stream that the result enters.
    var joins: [Path] = []
  }

  /// The number of channels.
  public let size: Int
  /// Tables, matrices and biases that write the stream.
  public private(set) var writers: [Use] = []
  /// Matrices that read what a norm gives, and the norms' own factors.
  public private(set) var readers: [Use] = []
  /// Whether a norm of another width is in the graph, as those of queries and keys are.
  public let hasOtherNorms: Bool
  private(set) var tables: [Table] = []
  private(set) var norms: [Norm] = []
  /// The written matrices and biases, without the tables.
  private(set) var projections: [Use] = []
  /// Products of the stream itself with a number.
  private(set) var streamProducts: [Int] = []
  /// The values of the stream, and where the others that carry the channels come from.
  private(set) var flows: [ValueID: Flow] = [:]

  /// Where a value that carries the channels comes from.
  enum Flow: Sendable {
    /// Sums of what is written.
    case stream
    /// A table, by its place in the list, and what came between.
    case table(Int, Path)
    /// A norm, by its place in the list, and what came between.
    case norm(Int, Path)
  }

  /// Finds the channels.
  ///
  /// - Throws: `widthPinned` with what holds them, where some operator is not described here.
  public init(_ map: DimensionMap) throws(CompactionError) {
    let graph = map.graph
    let relations = map.relations
    let table = relations.table
    func axis(_ place: NodeSlot, _ axis: Int) -> FactorID? {
      guard let axes = relations.axes(of: place, in: graph), axes.indices.contains(axis) else { return nil }
      let factors = table.flattened(axes[axis])
      guard factors.count == 1, table.parts(factors[0]) == .leaf else { return nil }
      return table.root(factors[0])
    }

    // The channels are what a table gives and a norm runs over.
    var written: Set<FactorID> = []
    for (index, node) in graph.nodes.enumerated() where node.op.name == "Gather" {
      let place = NodeSlot(node: index, slot: 0)
      if let axes = relations.operandAxes[place], axes.count == 2, let factor = axis(place, 1) {
        written.insert(factor)
      }
    }
    var channels: Set<FactorID> = []
    var others = false
    for (index, node) in graph.nodes.enumerated() where node.op.name == "RMSNormalization" {
      if let factor = axis(NodeSlot(node: index, slot: 1), 0), written.contains(factor) {
        channels.insert(factor)
      } else {
        others = true
      }
    }
    hasOtherNorms = others
    let sizes = Set(channels.map { table.size($0).constant })
    guard sizes.count == 1, let found = sizes.first, let size = found else { throw Self.noChannels(graph) }
    self.size = size

    let pins = table.leafPins()
    for channel in channels {
      for pin in pins[channel] ?? [] where pin.reason != .graphOutput {
        let node = pin.node.map { graph.nodes[$0] }
        if pin.reason == .norm, node?.op.name == "RMSNormalization" { continue }
        throw Self.pinned(node, pin.reason.rawValue)
      }
    }
    func carries(_ axes: [Axis]?) -> Bool {
      (axes ?? []).joined().contains { table.leaves($0).contains { channels.contains(table.root($0)) } }
    }
    for (index, node) in graph.nodes.enumerated() {
      let touched =
        node.inputs.indices.contains { carries(relations.axes(of: NodeSlot(node: index, slot: $0), in: graph)) }
        || node.outputs.contains { $0.map { carries(relations.valueAxes[$0]) } ?? false }
      if touched {
        try follow(node, index, graph, map) { slot, place in
          axis(NodeSlot(node: index, slot: slot), place).map(channels.contains) ?? false
        }
      }
    }
    writers = tables.map(\.use) + projections
    readers = norms.map(\.scale) + norms.flatMap { $0.readers.map(\.use) }
    // A use may be both, as a tied matrix of its own is not.
    var seen: Set<Use> = []
    writers = writers.filter { seen.insert($0).inserted }
    seen = []
    readers = readers.filter { seen.insert($0).inserted }
  }

  /// Whether a value of the graph carries the channels along its last axis.
  public func carries(_ value: ValueID) -> Bool { flows[value] != nil }

  // MARK: Following the stream

  private mutating func follow(
    _ node: Node, _ index: Int, _ graph: Graph, _ map: DimensionMap, _ isChannel: (Int, Int) -> Bool
  ) throws(CompactionError) {
    let constants = node.inputs.map { $0.flatMap { graph[$0].initializer } }
    let output = node.outputs.first.flatMap { $0 }
    func flow(_ slot: Int) -> Flow? { node.input(slot).flatMap { flows[$0] } }
    func rank(_ slot: Int) -> Int { map.relations.axes(of: NodeSlot(node: index, slot: slot), in: graph)?.count ?? 0 }
    func give(_ flow: Flow) { if let output { flows[output] = flow } }

    switch node.op.name {
    case "Gather":
      guard constants.first != nil, let value = node.input(0), constants[0] != nil, isChannel(0, 1), !isChannel(0, 0),
        node.attributes["axis"].map({ $0 == .integer(0) }) ?? true
      else { break }
      tables.append(Table(use: Use(value: value, axis: 1)))
      return give(.table(tables.count - 1, Path()))
    case "MatMul":
      guard let weight = node.input(1), constants.count > 1, constants[1] != nil, rank(1) == 2 else { break }
      if isChannel(1, 0) {
        guard case .norm(let norm, let path)? = flow(0) else { break }
        norms[norm].readers.append((path, Use(value: weight, axis: 0)))
      } else if flow(0) != nil {
        break
      }
      if isChannel(1, 1) {
        projections.append(Use(value: weight, axis: 1))
        give(.stream)
      }
      return
    case "Add":
      guard node.inputs.count == 2 else { break }
      for slot in 0..<2 where constants[slot] != nil {
        guard let bias = node.input(slot), rank(slot) == 1, isChannel(slot, 0), case .stream? = flow(1 - slot) else {
          throw Self.pinned(node, "a constant is added to what is no sum of written channels")
        }
        projections.append(Use(value: bias, axis: 0))
        return give(.stream)
      }
      guard let left = flow(0), let right = flow(1) else { break }
      join(left)
      join(right)
      return give(.stream)
    case "Mul":
      guard let slot = constants.firstIndex(where: { $0?.shape.elementCount == 1 }), let source = flow(1 - slot) else {
        break
      }
      switch source {
      case .stream:
        streamProducts.append(index)
        give(.stream)
      case .table(let table, var path):
        path.products.append(index)
        give(.table(table, path))
      case .norm(let norm, var path):
        path.products.append(index)
        give(.norm(norm, path))
      }
      return
    case "RMSNormalization":
      guard let scale = node.input(1), constants.count > 1, constants[1] != nil, isChannel(1, 0), let source = flow(0)
      else { break }
      if case .norm = source { break }
      join(source)
      norms.append(Norm(node: index, scale: Use(value: scale, axis: 0)))
      return give(.norm(norms.count - 1, Path()))
    case "Identity", "Cast":
      guard let source = flow(0) else { break }
      return give(source)
    case "Shape": return
    default: break
    }
    throw Self.pinned(node, "an operator that does more with the channels than write, add, normalise and read them")
  }

  /// What enters a sum becomes part of the stream.
  private mutating func join(_ flow: Flow) {
    switch flow {
    case .stream: break
    case .table(let table, let path): tables[table].path = path
    case .norm(let norm, let path): norms[norm].joins.append(path)
    }
  }

  // MARK: Refusals

  private static func pinned(_ node: Node?, _ reason: String) -> CompactionError {
    CompactionError(
      .widthPinned, subject: node.map { .node($0.name) },
      expected: "channels that are written, added, normalised by their root mean square, and read",
      found: node.map { "\($0.op): \(reason)" } ?? reason,
      remedy: "leave --width out; heads and neurons go without it")
  }

  private static func noChannels(_ graph: Graph) -> CompactionError {
    let norm = graph.nodes.first { $0.op.name.hasSuffix("LayerNormalization") }
    return CompactionError(
      .widthPinned, subject: norm.map { .node($0.name) },
      expected: "norms that divide by the root mean square of the channels, as operators of their own",
      found: norm.map { "\($0.op), which subtracts the mean: a channel that is zero before it is not after it" }
        ?? "none",
      remedy: "leave --width out; heads and neurons go without it")
  }
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// Something in the model keeps its residual channels from being removed.
  public static let widthPinned = Self("widthPinned", "the hidden channels of this model cannot be removed")
}
