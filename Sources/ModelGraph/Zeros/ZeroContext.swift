import PollardBase
import TensorStorage

/// Which terms of one contraction can contribute, and what makes the others vanish.
public struct ContractionTerms: Sendable {
  /// The node's index.
  public var node: Int
  /// The operand slot whose axis is summed and that comes from the model's input.
  public var activationSlot: Int
  /// What each term is: zero, a constant, unknown, or poisoned.
  public var terms: [ElementState]
  /// Terms whose weights are all zero: the consumer ignores them.
  public var consumerZero: [Bool]
  /// Terms whose activation is zero: the producer leaves them zero.
  public var producerZero: [Bool]
  /// Terms whose activation may not be finite, because a weight that makes it is not.
  public var activationPoisoned: [Bool]

  /// Creates the record of a contraction.
  public init(
    node: Int, activationSlot: Int, terms: [ElementState], consumerZero: [Bool], producerZero: [Bool],
    activationPoisoned: [Bool]
  ) {
    self.node = node
    self.activationSlot = activationSlot
    self.terms = terms
    self.consumerZero = consumerZero
    self.producerZero = producerZero
    self.activationPoisoned = activationPoisoned
  }
}

/// What an operator's zero rule sees of its node, and where it puts what it finds. Results it does not set are unknown.
public struct ZeroContext {
  /// The node.
  public let node: Node
  /// The node's index.
  public let index: Int
  /// The threads that stream weights.
  public let pool: ThreadPool
  let graph: Graph
  let known: [ValueID: TokenState]
  /// Whether weights of this node may be read; where nothing is asked about them they need not be.
  public let readsWeights: Bool
  /// Whether anything is asked about the results; where not, only the terms of sums matter.
  public let wantsResults: Bool
  var results: [(Int, TokenState)] = []
  var contractions: [ContractionTerms] = []
  /// Vectors up to this many elements are looked at element by element.
  static let elementLimit = 1 << 20

  init(
    node: Node, index: Int, graph: Graph, known: [ValueID: TokenState], pool: ThreadPool, readsWeights: Bool,
    wantsResults: Bool
  ) {
    self.node = node
    self.index = index
    self.graph = graph
    self.known = known
    self.pool = pool
    self.readsWeights = readsWeights
    self.wantsResults = wantsResults
  }

  /// The constant content of an operand, nil when it is computed.
  public func weight(_ slot: Int) -> Weight? {
    node.input(slot).flatMap { graph[$0].initializer }
  }

  /// The state of an operand; constants of moderate size are read. Nil when nothing is known, not even the extents.
  public func state(_ slot: Int) throws(FormatError) -> TokenState? {
    guard let id = node.input(slot) else { return nil }
    if let weight = weight(slot) {
      let shape = weight.shape.extents
      guard readsWeights, weight.shape.elementCount <= Self.elementLimit, weight.type.canBeCast(to: .f32) else {
        return TokenState(shape: shape, all: .unknown)
      }
      return try TokenState(weight)
    }
    return known[id] ?? tokenShape(id).map { TokenState(shape: $0, all: .unknown) }
  }

  /// The extents of a result for one token.
  public func resultShape(_ slot: Int = 0) -> [Int]? {
    slot < node.outputs.count ? node.outputs[slot].flatMap(tokenShape) : nil
  }

  /// Sets a result's state. States whose extents do not fit the result are dropped.
  public mutating func set(_ slot: Int = 0, _ state: TokenState) { results.append((slot, state)) }

  /// Records which terms of a contraction can contribute.
  public mutating func record(_ terms: ContractionTerms) { contractions.append(terms) }

  private func tokenShape(_ id: ValueID) -> [Int]? {
    guard let shape = graph[id].type?.shape else { return nil }
    var result: [Int] = []
    for size in shape {
      let ones = Dictionary(uniqueKeysWithValues: size.symbols.map { ($0, 1) })
      guard let extent = size.evaluated(ones), extent >= 0 else { return nil }
      result.append(extent)
    }
    return result
  }
}
