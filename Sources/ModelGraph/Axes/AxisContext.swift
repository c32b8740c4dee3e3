import TensorStorage

/// An operand's or a result's axis within one node.
public enum AxisPlace: Sendable, Hashable {
  /// The axis of an operand: slot, axis.
  case input(Int, Int)
  /// The axis of a result: slot, axis.
  case output(Int, Int)
}

/// One term of a product of axes in a statement.
public enum AxisTerm: Sendable {
  /// An axis of the node.
  case place(AxisPlace)
  /// A factor that occurs nowhere else yet.
  case fresh(Size)
  /// Factors made for this node, which may occur in several of its statements.
  case factors(Axis)

  /// An operand's axis.
  public static func input(_ slot: Int, _ axis: Int) -> AxisTerm { .place(.input(slot, axis)) }
  /// A result's axis.
  public static func output(_ slot: Int, _ axis: Int) -> AxisTerm { .place(.output(slot, axis)) }
}

/// A sum of products over an axis: the place where a unit's contribution reaches the rest of the model.
public struct Contraction: Sendable {
  /// The node's index.
  public var node: Int
  /// The summed axis of the first operand.
  public var left: AxisPlace
  /// The summed axis of the second operand.
  public var right: AxisPlace
  /// The summed axis, as factors.
  public var axis: Axis
  /// Whether the term is the activation itself, as it is for a range taken over a whole tensor: no weight of zero makes it vanish, and `left`
  /// and `right` are the same place.
  public var isActivationAlone = false
}

/// What an operator's axis rule sees of its node, and the statements it makes.
///
/// Axes a rule makes no statement about are pinned when it returns.
public struct AxisContext {
  /// The node.
  public let node: Node
  let index: Int
  let inputAxes: [[Axis]?]
  let outputAxes: [[Axis]?]
  /// Elements of small integer operands, by slot.
  let elements: [Int: [SymbolicElement]]
  /// Constant operands, by slot.
  var weights: [Int: Weight] = [:]
  var table: FactorTable
  var contractions: [Contraction] = []
  /// Extents whose numbers the rule relies on.
  var reliedOn: [SymbolicElement] = []
  private(set) var claimed: Set<AxisPlace> = []

  init(
    node: Node, index: Int, inputAxes: [[Axis]?], outputAxes: [[Axis]?], elements: [Int: [SymbolicElement]],
    table: FactorTable
  ) {
    self.node = node
    self.index = index
    self.inputAxes = inputAxes
    self.outputAxes = outputAxes
    self.elements = elements
    self.table = table
  }

  /// Gives the factors away; nothing can be stated afterwards.
  mutating func takeTable() -> FactorTable {
    let result = table
    table = FactorTable()
    return result
  }

  /// The rank of an operand; nil when it is absent or unknown.
  public func rank(_ slot: Int) -> Int? { slot < inputAxes.count ? inputAxes[slot]?.count : nil }

  /// The rank of a result; nil when it is unknown.
  public func outputRank(_ slot: Int) -> Int? { slot < outputAxes.count ? outputAxes[slot]?.count : nil }

  /// The extent of an axis.
  public func size(_ place: AxisPlace) -> Size? { axis(place).flatMap { table.size(of: $0) } }

  /// The numbers of a small integer operand, when all are known.
  public func constants(_ slot: Int) -> [Int]? {
    guard let found = elements[slot] else { return nil }
    let values = found.compactMap { $0.size?.constant }
    return values.count == found.count ? values : nil
  }

  /// States that two products of axes are the same, position by position.
  ///
  /// When the shape of one of them is unknown the others are pinned.
  public mutating func unify(_ a: [AxisTerm], _ b: [AxisTerm]) {
    guard let first = axes(a), let second = axes(b) else { return pinKnown(a + b) }
    table.unify(first, second, node: index)
  }

  /// States that two axes are the same.
  public mutating func unify(_ a: AxisPlace, _ b: AxisPlace) { unify([.place(a)], [.place(b)]) }

  /// States that two axes are the same, or that one of them has extent 1 and is repeated.
  public mutating func unifyBroadcasting(_ a: AxisPlace, _ b: AxisPlace) {
    guard let first = axis(a), let second = axis(b) else { return pinKnown([.place(a), .place(b)]) }
    claim(a)
    claim(b)
    if !first.isEmpty, !second.isEmpty { table.unify(first, second, node: index) }
  }

  /// States that an axis is the concatenation of others.
  public mutating func unify(_ whole: AxisTerm, sumOf pieces: [AxisTerm]) {
    unify(whole, sumOf: pieces.map { [$0] })
  }

  /// States that an axis is the concatenation of products of axes.
  public mutating func unify(_ whole: AxisTerm, sumOf pieces: [[AxisTerm]]) {
    guard let first = axes([whole]) else { return pinKnown([whole] + pieces.joined()) }
    var axesOfPieces: [Axis] = []
    for piece in pieces {
      guard let axis = axes(piece) else { return pinKnown([whole] + pieces.joined()) }
      axesOfPieces.append(axis)
    }
    table.unify(first, sumOf: axesOfPieces, node: index)
  }

  /// A factor that occurs nowhere else yet, for use in several statements.
  public mutating func factor(_ size: Size) -> AxisTerm { .factors(table.makeAxis(size)) }

  /// Pins factors made for this node.
  public mutating func pin(term: AxisTerm, _ reason: PinReason) {
    switch term {
    case .place(let place): pin(place, reason)
    case .fresh: break
    case .factors(let axis): table.pin(axis, Pin(reason, node: index))
    }
  }

  /// States that every position along an axis is seen by the result, whatever any weight is, and that zeros are not seen.
  public mutating func observe(_ place: AxisPlace) {
    claim(place)
    guard let axis = axis(place) else { return }
    contractions.append(Contraction(node: index, left: place, right: place, axis: axis, isActivationAlone: true))
  }

  /// States that an operand's axes are a result's, one by one; when the ranks differ the operand's are pinned as unclaimed.
  public mutating func pass(_ slot: Int, to output: Int = 0) {
    guard let rank = rank(slot), rank == outputRank(output) else { return }
    for axis in 0..<rank { unify(.input(slot, axis), .output(output, axis)) }
  }

  /// Pins the axes whose extents flowed into numbers that the node cannot follow.
  public mutating func pinOrigins(of elements: [SymbolicElement]) { reliedOn += elements }

  /// Says that an operand's axes are looked at by no result: it may shrink or not.
  public mutating func ignore(_ slot: Int) {
    for axis in 0..<(rank(slot) ?? 0) { claim(.input(slot, axis)) }
  }

  /// States that two axes are the same and summed away.
  public mutating func contract(_ a: AxisPlace, _ b: AxisPlace) {
    unify(a, b)
    if let axis = axis(a) { contractions.append(Contraction(node: index, left: a, right: b, axis: axis)) }
  }

  /// States that an axis is summed away together with another that is part of it, as they have been related already.
  public mutating func recordContraction(_ a: AxisPlace, _ b: AxisPlace) {
    if let axis = axis(a) { contractions.append(Contraction(node: index, left: a, right: b, axis: axis)) }
  }

  /// States that positions along an axis cannot be removed.
  public mutating func pin(_ place: AxisPlace, _ reason: PinReason) {
    claim(place)
    if let axis = axis(place) { table.pin(axis, Pin(reason, node: index)) }
  }

  /// States that a right-aligned operand and a right-aligned result agree wherever the operand does not repeat.
  public mutating func passBroadcasting(_ slot: Int, to output: Int = 0) {
    guard let rank = rank(slot), let outputRank = outputRank(output), rank <= outputRank else { return }
    for axis in 0..<rank { unifyBroadcasting(.input(slot, axis), .output(output, axis + outputRank - rank)) }
  }

  /// Pins the axes of a statement that cannot be made because another of its axes is unknown.
  private mutating func pinKnown(_ terms: [AxisTerm]) {
    for case .place(let place) in terms where axis(place) != nil { pin(place, .undescribed) }
  }

  private mutating func claim(_ place: AxisPlace) { claimed.insert(place) }

  private func axis(_ place: AxisPlace) -> Axis? {
    switch place {
    case .input(let slot, let axis):
      guard slot < inputAxes.count, let axes = inputAxes[slot], axes.indices.contains(axis) else { return nil }
      return axes[axis]
    case .output(let slot, let axis):
      guard slot < outputAxes.count, let axes = outputAxes[slot], axes.indices.contains(axis) else { return nil }
      return axes[axis]
    }
  }

  private mutating func axes(_ terms: [AxisTerm]) -> Axis? {
    var result: Axis = []
    for term in terms {
      switch term {
      case .place(let place):
        guard let axis = axis(place) else { return nil }
        claim(place)
        result += axis
      case .fresh(let size): result += table.makeAxis(size)
      case .factors(let axis): result += axis
      }
    }
    return result
  }
}
