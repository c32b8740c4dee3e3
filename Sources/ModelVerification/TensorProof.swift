import PollardBase
import TensorStorage

/// The proof that a checkpoint holds what it must: every tensor byte for byte.
public struct TensorProof: Sendable, Hashable {
  /// Tensors whose type, shape and bytes are as they must be.
  public var keptTensors = 0
  /// The first problem of each kind, as sentences that name the tensor.
  public var problems: [String] = []

  /// Compares the tensors a checkpoint must hold with those it holds.
  ///
  /// - Throws: what reading either side throws.
  /// - Complexity: O(bytes of both), in memory bounded by a few chunks.
  public init(
    expected: [(name: String, weight: Weight)], found: [(name: String, weight: Weight)], pool: ThreadPool,
    progress: VerificationProgress.Handler? = nil
  ) throws(FormatError) {
    var share = ShareDone(expected.map(\.weight))
    var rest: [String: Weight] = [:]
    for (name, weight) in found { rest[name] = weight }
    for (name, weight) in expected {
      progress?(VerificationProgress(stage: .tensors, share: share.next()))
      let shown = escapedForTerminal(name)
      guard let other = rest.removeValue(forKey: name) else {
        problems.append("tensor \"\(shown)\" is missing")
        continue
      }
      guard other.type == weight.type, other.shape == weight.shape else {
        problems.append(
          "tensor \"\(shown)\": expected \(weight.type)\(weight.shape), found \(other.type)\(other.shape)")
        continue
      }
      if let element = try WeightComparison.firstDifference(weight, other, pool: pool) {
        problems.append("tensor \"\(shown)\": bytes differ from element \(Self.index(element, in: weight.shape)) on")
        continue
      }
      keptTensors += 1
    }
    for name in rest.keys.sorted() { problems.append("tensor \"\(escapedForTerminal(name))\" does not belong here") }
  }

  /// The proof for graphs whose constants were compared where they are used.
  ///
  /// - Parameters:
  ///   - paired: the number of constants that must be there.
  ///   - isSame: whether all of them are.
  public init(paired: Int, isSame: Bool, problems: [String]) {
    keptTensors = isSame ? paired : 0
    self.problems = problems
  }

  /// An element's index per axis, as in `[3, 17]`.
  private static func index(_ element: Int, in shape: Shape) -> String {
    var rest = element
    var places: [String] = []
    for extent in shape.extents.reversed() {
      places.append("\(rest % max(extent, 1))")
      rest /= max(extent, 1)
    }
    return "[" + places.reversed().joined(separator: ", ") + "]"
  }
}

/// The share of the bytes of tensors that are done, tensor by tensor.
struct ShareDone {
  private let weights: [Weight]
  private let total: Double
  private var done = 0.0
  private var count = 0

  init(_ weights: [Weight]) {
    self.weights = weights
    total = max(1, weights.reduce(0) { $0 + Double($1.shape.byteCount(of: $1.type) ?? 0) })
  }

  /// The share before the next tensor.
  mutating func next() -> Double {
    let before = done / total
    if weights.indices.contains(count) {
      done += Double(weights[count].shape.byteCount(of: weights[count].type) ?? 0)
      count += 1
    }
    return before
  }
}
