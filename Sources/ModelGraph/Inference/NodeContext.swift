/// What all rules see of a node: its attributes and the operands whose numbers are known.
protocol NodeContext {
  /// The node.
  var node: Node { get }
  /// The numbers of a small integer operand, when all are known.
  func constants(_ slot: Int) -> [Int]?
}

/// A list of integers that old definitions take as an attribute and new ones as an operand.
enum IntegerList: Sendable {
  /// Neither is there.
  case absent
  /// The operand is computed.
  case computed
  /// The numbers.
  case known([Int])
}

extension NodeContext {
  /// A list given as an operand or as an attribute.
  func list(_ attribute: String, slot: Int) -> IntegerList {
    if node.input(slot) != nil { return constants(slot).map { .known($0) } ?? .computed }
    if let found = node.integers(attribute) { return .known(found) }
    return .absent
  }

  /// The axis that an attribute names, counted from the outermost; nil outside of the tensor.
  func axis(_ name: String = "axis", default value: Int, rank: Int) -> Int? {
    Self.normal(node.integer(name, default: value), rank: rank)
  }

  /// An axis counted from the outermost; nil outside of the tensor.
  static func normal(_ axis: Int, rank: Int) -> Int? {
    guard axis >= -rank, axis < rank else { return nil }
    return axis < 0 ? axis + rank : axis
  }

  /// Axes counted from the outermost; nil when one is outside of the tensor or occurs twice.
  static func normal(_ axes: [Int], rank: Int) -> [Int]? {
    let result = axes.compactMap { normal($0, rank: rank) }
    return result.count == axes.count && Set(result).count == axes.count ? result : nil
  }
}

extension InferenceContext: NodeContext {}
extension AxisContext: NodeContext {}
extension ZeroContext: NodeContext {}
extension AdaptationContext: NodeContext {
  func constants(_ slot: Int) -> [Int]? {
    guard let found = elements[slot] else { return nil }
    let values = found.compactMap { $0.size?.constant }
    return values.count == found.count ? values : nil
  }
}
