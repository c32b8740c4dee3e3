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
  /// The activation of each term that is a constant, 0 at others; empty where no term is, or where it is not known.
  public var constants: [Double]

  /// Creates the record of a contraction.
  public init(
    node: Int, activationSlot: Int, terms: [ElementState], consumerZero: [Bool], producerZero: [Bool],
    activationPoisoned: [Bool], constants: [Double] = []
  ) {
    self.constants = constants
    self.node = node
    self.activationSlot = activationSlot
    self.terms = terms
    self.consumerZero = consumerZero
    self.producerZero = producerZero
    self.activationPoisoned = activationPoisoned
  }
}

/// The state of a quantised value: zero means equal to its zero point.
struct CentredState: Sendable {
  var state: TokenState
  /// The value that holds the zero point; nil where it is the number 0.
  var zeroPoint: ValueID?
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
  let integers: [ValueID: [SymbolicElement]]
  /// Whether weights of this node may be read; where nothing is asked about them they need not be.
  public let readsWeights: Bool
  /// Whether anything is asked about the results; where not, only the terms of sums matter.
  public let wantsResults: Bool
  /// States of quantised values, in which zero means equal to a zero point, by value.
  let centredStates: [ValueID: CentredState]
  /// Constants computed from constants, such as dequantised weights.
  let computedWeights: [ValueID: Weight]
  var results: [(Int, TokenState)] = []
  var newCentred: [ValueID: CentredState] = [:]
  var newWeights: [ValueID: Weight] = [:]
  var contractions: [ContractionTerms] = []
  /// Vectors up to this many elements are looked at element by element.
  static let elementLimit = TokenState.limit

  init(
    node: Node, index: Int, graph: Graph, known: [ValueID: TokenState], integers: [ValueID: [SymbolicElement]],
    centredStates: [ValueID: CentredState], computedWeights: [ValueID: Weight], pool: ThreadPool, readsWeights: Bool,
    wantsResults: Bool
  ) {
    self.node = node
    self.index = index
    self.graph = graph
    self.known = known
    self.integers = integers
    self.centredStates = centredStates
    self.computedWeights = computedWeights
    self.pool = pool
    self.readsWeights = readsWeights
    self.wantsResults = wantsResults
  }

  /// The constant content of an operand, nil when it is computed.
  public func weight(_ slot: Int) -> Weight? {
    node.input(slot).flatMap { graph[$0].initializer ?? computedWeights[$0] }
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

  /// The numbers of a small integer operand, when all are known.
  public func constants(_ slot: Int) -> [Int]? {
    guard let id = node.input(slot) else { return nil }
    if let known = integers[id] {
      let values = known.compactMap { $0.size?.constant }
      return values.count == known.count ? values : nil
    }
    guard let weight = graph[id].initializer, weight.shape.rank <= 1,
      weight.shape.elementCount <= ShapeInference.elementLimit
    else { return nil }
    return try? weight.smallIntegers()
  }

  /// The shape of an operand with its symbols; nil when it is not known.
  public func shape(_ slot: Int) -> [Size]? { node.input(slot).flatMap { graph[$0].type?.shape } }

  /// The shape of a result with its symbols; nil when it is not known.
  func shape(of output: Int) -> [Size]? {
    output < node.outputs.count ? node.outputs[output].flatMap { graph[$0].type?.shape } : nil
  }

  /// The element type of an operand; nil when it is not known.
  public func elementType(_ slot: Int) -> ElementType? { node.input(slot).flatMap { graph[$0].type?.element } }

  /// The worst state of all operands that are present.
  func worstOperand() throws(FormatError) -> ElementState {
    var worst = ElementState.zero
    for slot in node.inputs.indices {
      guard let id = node.input(slot) else { continue }
      if let state = known[id] { worst = max(worst, state.worst) } else { worst = max(worst, .unknown) }
    }
    return worst
  }

  /// The extents of a result for one token.
  public func resultShape(_ slot: Int = 0) -> [Int]? {
    slot < node.outputs.count ? node.outputs[slot].flatMap(tokenShape) : nil
  }

  /// Sets a result's state. States whose extents do not fit the result are dropped.
  public mutating func set(_ slot: Int = 0, _ state: TokenState) { results.append((slot, state)) }

  /// Sets a quantised result's state, in which zero means equal to a zero point.
  mutating func setCentred(_ slot: Int, _ state: TokenState, zeroPoint: ValueID?) {
    guard slot < node.outputs.count, let id = node.outputs[slot] else { return }
    newCentred[id] = CentredState(state: state, zeroPoint: zeroPoint)
    let worst = state.worst
    set(slot, TokenState(shape: state.shape, all: worst == .poisoned ? .poisoned : .unknown))
  }

  /// The state of a quantised operand relative to the zero point that is another operand; nil when its zeros are relative to another one.
  func centred(_ slot: Int, zeroPoint: Int) -> TokenState? {
    guard let id = node.input(slot), let found = centredStates[id] else { return nil }
    let other = node.input(zeroPoint)
    if found.zeroPoint == other { return found.state }
    guard let a = found.zeroPoint.flatMap({ graph[$0].initializer }), let b = other.flatMap({ graph[$0].initializer }),
      a.type == b.type, a.shape.elementCount == b.shape.elementCount,
      a.shape.elementCount <= ShapeInference.elementLimit,
      let first = try? a.bytes(), let second = try? b.bytes(), first == second
    else { return nil }
    return found.state
  }

  /// Sets a result that is a constant computed from constants.
  mutating func setWeight(_ slot: Int, _ weight: Weight) throws(FormatError) {
    guard slot < node.outputs.count, let id = node.outputs[slot] else { return }
    newWeights[id] = weight
    guard readsWeights, weight.shape.elementCount <= Self.elementLimit else { return }
    set(slot, try TokenState(weight))
  }

  /// Forgets what was recorded for this node so far.
  mutating func dropContractions() { contractions = [] }

  /// Records which terms of a contraction can contribute.
  public mutating func record(_ terms: ContractionTerms) { contractions.append(terms) }

  private func tokenShape(_ id: ValueID) -> [Int]? {
    guard let shape = graph[id].type?.shape else { return nil }
    var result: [Int] = []
    for size in shape {
      let ones = Dictionary(uniqueKeysWithValues: size.symbols.map { ($0, 1) })
      guard let extent = size.evaluated(ones), extent >= 0, extent > 0 || size.constant != nil else {
        // An extent that is 0 for one token alone would make everything in it zero, and it is not for two.
        return nil
      }
      result.append(extent)
    }
    return result
  }
}
