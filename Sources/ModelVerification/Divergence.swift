import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// The first operator whose results differ though its operands were equal in both models.
public struct Divergence: Sendable, Hashable {
  /// The node's name in the reference.
  public var node: String
  /// What it computes.
  public var op: String
  /// The name of the result that differs.
  public var value: String
  /// The weights that it reads, in the reference.
  public var weights: [String]
  /// Where the first element lies that differs, in the reference's result.
  public var index: [Int]
  /// The same element in the other's result.
  public var otherIndex: [Int]
  /// The element in the reference.
  public var reference: Double
  /// The element in the other.
  public var other: Double
  /// Elements of the result that differ.
  public var differing: Int

  /// A sentence.
  public var description: String {
    let place = index == otherIndex ? "\(index)" : "\(index) (\(otherIndex) in the compacted model)"
    let reads = weights.isEmpty ? "" : ", which reads " + weights.joined(separator: ", ")
    return "the models part at \(op) \"\(node)\"\(reads): element \(place) is \(reference) and \(other)"
  }
}

/// An axis of a value that has other positions in the two models, with those that are compared.
public struct ComparedAxis: Sendable, Hashable {
  /// The axis.
  public var axis: Int
  /// Positions in the reference.
  public var positions: [Int]
  /// The same positions in the other; nil for all in order.
  public var otherPositions: [Int]?

  /// Creates an axis to compare.
  public init(axis: Int, positions: [Int], otherPositions: [Int]? = nil) {
    self.axis = axis
    self.positions = positions
    self.otherPositions = otherPositions
  }
}

extension Divergence {
  /// Runs both models again, shows every result of every operator, and stops at the first that differs.
  ///
  /// - Parameters:
  ///   - pairs: the reference's values with their counterparts.
  ///   - axes: the axes of a value of the reference that lost positions; nil for a value that cannot be compared.
  ///   - inputs: as for `RunComparison`, and `precision` as well.
  /// - Returns: nil when no paired result differs.
  /// - Throws: what running either graph throws.
  public static func find(
    reference: Graph, other: Graph, pairs: [ValueID: ValueID], axes: (ValueID) -> [ComparedAxis]?,
    inputs: [String: Tensor], otherInputs: [String: Tensor]? = nil, precision: ComputingPrecision = .declared,
    pool: ThreadPool, progress: VerificationProgress.Handler? = nil
  ) throws -> Divergence? {
    var producers: [ValueID: Int] = [:]
    var counterparts: [ValueID: ValueID] = [:]
    for (index, node) in reference.nodes.enumerated() {
      for case let output? in node.outputs {
        guard let paired = pairs[output], axes(output) != nil else { continue }
        producers[output] = index
        counterparts[paired] = output
      }
    }
    let wanted = [Set(producers.keys), Set(counterparts.keys)]
    var walk = try SideBySide(
      [(reference, inputs), (other, otherInputs ?? inputs)], precision: precision, pool: pool, observing: { wanted[$0] }
    )
    let parts = PartSelection(inputs: inputs, graphs: [reference, other])
    var waiting: [ValueID: (part: ComparedPart, origin: Origin)] = [:]
    var first: (node: Int, divergence: Divergence)?
    func observe(_ side: Int, _ id: ValueID, _ tensor: Tensor) {
      guard let value = side == 0 ? id : counterparts[id], let node = producers[value] else { return }
      if let first, first.node <= node { return }
      let (part, origin) = select(axes(value) ?? [], of: tensor, id, parts, side: side)
      guard let known = waiting.removeValue(forKey: value) else {
        waiting[value] = (part, origin)
        return
      }
      let this = (part: part, origin: origin)
      guard
        let found = Divergence(
          side == 0 ? this : known, side == 0 ? known : this, value, reference, reference.nodes[node], pool)
      else { return }
      first = (node, found)
    }
    while try walk.advance(observe) {
      progress?(VerificationProgress(stage: .search, share: walk.progress))
      // The models are near each other, but a node before this one may still be compared.
      if let first, waiting.keys.allSatisfy({ (producers[$0] ?? 0) > first.node }) { break }
    }
    return first?.divergence
  }

  /// Where the elements of a part come from.
  private struct Origin {
    /// The extents of the part's tensor.
    var extents: [Int]
    /// Chosen positions by axis.
    var positions: [Int: [Int]] = [:]

    func index(of element: Int) -> [Int] {
      var rest = element
      var result: [Int] = []
      for (axis, extent) in extents.enumerated().reversed() {
        let place = rest % max(extent, 1)
        rest /= max(extent, 1)
        result.append(positions[axis].map { $0[place] } ?? place)
      }
      return result.reversed()
    }
  }

  private static func select(
    _ axes: [ComparedAxis], of tensor: Tensor, _ id: ValueID, _ parts: PartSelection, side: Int
  ) -> (ComparedPart, Origin) {
    var chosen = tensor
    var origin = Origin(extents: [])
    for axis in axes where axis.axis < tensor.rank {
      guard let positions = side == 0 ? axis.positions : axis.otherPositions,
        positions.allSatisfy({ $0 < tensor.extents[axis.axis] })
      else { continue }
      chosen = chosen.selecting(positions, axis: axis.axis)
      origin.positions[axis.axis] = positions
    }
    origin.extents = chosen.extents
    var part = ComparedPart(side: side)
    part.tensor = chosen
    parts.chooseRows(of: &part, id)
    return (part, origin)
  }

  private init?(
    _ a: (part: ComparedPart, origin: Origin), _ b: (part: ComparedPart, origin: Origin), _ value: ValueID,
    _ graph: Graph, _ node: Node, _ pool: ThreadPool
  ) {
    let name = ComparedValue(name: graph[value].name, kind: .output, layer: nil, reference: value, other: value)
    guard a.part.tensor?.extents == b.part.tensor?.extents else { return nil }
    let agreement = ValueAgreement(name, a.part, b.part, pool)
    guard agreement.differing > 0, let first = agreement.firstIndex else { return nil }
    self.node = node.name
    op = "\(node.op)"
    self.value = graph[value].name
    weights = node.inputs.compactMap { $0 }.filter { graph[$0].initializer != nil }.map { graph[$0].name }
    let row = first / max(a.part.width, 1)
    let element = (a.part.rows.map { $0[row] } ?? row) * a.part.rowWidth + first % max(a.part.width, 1)
    index = a.origin.index(of: element)
    otherIndex = b.origin.index(of: element)
    reference = a.part.number(at: first)
    other = b.part.number(at: first)
    differing = agreement.differing
  }
}
