import PollardBase
import TensorStorage

/// How many tensors of a converted model are the original's, rounded to the type they are stored in.
///
/// Rounding is deterministic, so a conversion can be proved byte for byte where the rounding is the reference's: to nearest, ties to even for
/// element types, the reference quantiser without an importance matrix for packed ones.
public struct ConversionProof: Sendable {
  /// Tensors that are exactly the rounded original's.
  public var exactTensors = 0
  /// Tensors of the converted model.
  public var tensors = 0
  /// The first tensor that is not.
  public var firstDifferent: String?
  /// The matrices among them, and how many of these are exact.
  public var matrices = (all: 0, exact: 0)

  /// Tensors whose type cannot hold every number of the original's, so that they were rounded.
  public var roundedTensors = 0
  /// Tensors in element types that are not what the original's give, as sentences: the rounding of these is always the same, so that other
  /// numbers are other weights.
  public var problems: [String] = []

  /// Whether most matrices are exact and some are not, as no way of rounding would leave them: something was changed afterwards.
  public var looksSpoiled: Bool { matrices.exact < matrices.all && 2 * matrices.exact >= matrices.all }

  /// Whether every tensor is.
  public var isComplete: Bool { tensors > 0 && exactTensors == tensors }

  /// Whether every tensor is, and nothing was rounded.
  public var isLossless: Bool { isComplete && roundedTensors == 0 }

  /// Tensors as another order of the same steps gives them, such as rounded before a cut instead of after it.
  public typealias Alternative = () throws -> [(role: String, weight: Weight)]?

  /// Compares tensors by the part they play.
  ///
  /// - Parameters:
  ///   - expected: the original's tensors as they must be, in any type.
  ///   - found: the converted model's, turned into the original's orientation.
  ///   - alternative: is asked where a packed tensor is not what is expected.
  /// - Throws: what reading either side throws.
  /// - Complexity: O(bytes of both), in memory bounded by a few chunks.
  public init(
    expected: [(role: String, weight: Weight)], found: [(role: String, weight: Weight)],
    alternative: Alternative? = nil, pool: ThreadPool, progress: VerificationProgress.Handler? = nil
  ) throws {
    var others: [String: Weight]?
    var share = ShareDone(found.map(\.weight))
    let originals = Dictionary(expected.map { ($0.role, $0.weight) }, uniquingKeysWith: { first, _ in first })
    tensors = found.count
    for (role, weight) in found {
      progress?(VerificationProgress(stage: .tensors, share: share.next()))
      let original = originals[role]
      var isExact = try original.map { try Self.isRounded($0, as: weight, pool) } ?? false
      if !isExact, weight.blockFormat != nil, let alternative {
        if others == nil {
          others = Dictionary(try alternative() ?? []) { first, _ in first }
        }
        isExact = try others?[role].map { try Self.isRounded($0, as: weight, pool) } ?? false
      }
      if let original, weight.blockFormat != nil || !weight.type.holds(original.type) { roundedTensors += 1 }
      if !isExact, weight.blockFormat == nil, let original {
        // Rows of positions that a format leaves out come back as zeros.
        if role.contains("position_embeddings"), try Self.isShortened(original, weight, pool) {
          isExact = true
        } else {
          problems.append(try Self.problem(role, original, weight, pool))
        }
      }
      // Rows of positions that a format leaves out come back as zeros.
      if weight.shape.rank > 1, !role.contains("position_embeddings") {
        matrices.all += 1
        if isExact { matrices.exact += 1 }
      }
      if isExact { exactTensors += 1 } else if firstDifferent == nil { firstDifferent = role }
    }
  }

  /// Whether a table of positions is the original's but for first rows of zeros: those of a padding token, which no text reads.
  private static func isShortened(_ original: Weight, _ weight: Weight, _ pool: ThreadPool) throws(FormatError) -> Bool
  {
    guard original.shape == weight.shape, weight.shape.rank == 2, original.type.canBeCast(to: weight.type) else {
      return false
    }
    for rows in 1...min(2, weight.shape[0]) {
      let expected = original.zeroing(Array(0..<rows), axis: 0).cast(to: weight.type)
      if try WeightComparison.firstDifference(expected, weight, pool: pool) == nil { return true }
    }
    return false
  }

  private static func problem(
    _ role: String, _ original: Weight, _ weight: Weight, _ pool: ThreadPool
  ) throws(FormatError) -> String {
    let name = "tensor \"\(escapedForTerminal(role))\""
    guard original.shape == weight.shape, original.type.canBeCast(to: weight.type) else {
      return "\(name): expected \(original.type)\(original.shape), found \(weight.type)\(weight.shape)"
    }
    let element = try WeightComparison.firstDifference(original.cast(to: weight.type), weight, pool: pool) ?? 0
    let expected = weight.type.holds(original.type) ? "the original's" : "the original's rounded to \(weight.type)"
    return "\(name): the numbers are not \(expected) from element \(element) on"
  }

  private static func isRounded(_ original: Weight, as weight: Weight, _ pool: ThreadPool) throws(FormatError) -> Bool {
    var (a, b) = (original, weight)
    guard a.shape == b.shape else { return false }
    // Blocks lie along the last axis as it is stored, so both are turned that way.
    if let permutation = b.outerPermutation {
      var undone = permutation
      for (axis, source) in permutation.enumerated() { undone[source] = axis }
      (a, b) = (a.transposed(undone), b.withoutOuterPermutation)
    }
    if let format = b.blockFormat {
      guard a.type.canBeCast(to: .f32), a.shape.rank > 0, a.shape[a.shape.rank - 1] % format.elementsPerBlock == 0,
        format.isWritable || a.blockFormat == format
      else { return false }
      let packed = b.quantized(to: format)
      let wanted = a.cast(to: .f32).quantized(to: format)
      guard !packed.requantizes else { return false }
      return try WeightComparison.firstDifference(wanted, packed, pool: pool) == nil
    }
    guard a.type.canBeCast(to: b.type) else { return false }
    return try WeightComparison.firstDifference(a.cast(to: b.type), b, pool: pool) == nil
  }
}

extension ElementType {
  /// Whether every number of another type is one of this type.
  fileprivate func holds(_ other: ElementType) -> Bool {
    if self == other { return true }
    switch self {
    case .f64: return other.isFloatingPoint
    case .f32: return other.isFloatingPoint && other != .f64
    default: return false
    }
  }
}
