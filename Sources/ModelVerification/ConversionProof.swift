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

  /// Whether most matrices are exact and some are not, as no way of rounding would leave them: something was changed afterwards.
  public var looksSpoiled: Bool { matrices.exact < matrices.all && 2 * matrices.exact >= matrices.all }

  /// Whether every tensor is.
  public var isComplete: Bool { tensors > 0 && exactTensors == tensors }

  /// Compares tensors by the part they play.
  ///
  /// - Parameters:
  ///   - expected: the original's tensors as they must be, in any type.
  ///   - found: the converted model's, turned into the original's orientation.
  /// - Throws: what reading either side throws.
  /// - Complexity: O(bytes of both), in memory bounded by a few chunks.
  public init(
    expected: [(role: String, weight: Weight)], found: [(role: String, weight: Weight)], pool: ThreadPool,
    progress: VerificationProgress.Handler? = nil
  ) throws(FormatError) {
    var share = ShareDone(found.map(\.weight))
    let originals = Dictionary(expected.map { ($0.role, $0.weight) }, uniquingKeysWith: { first, _ in first })
    tensors = found.count
    for (role, weight) in found {
      progress?(VerificationProgress(stage: .tensors, share: share.next()))
      let isExact =
        try originals[role].map { (original) throws(FormatError) in
          try Self.isRounded(original, as: weight, pool)
        } ?? false
      // Rows of positions that a format leaves out come back as zeros.
      if weight.shape.rank > 1, !role.contains("position_embeddings") {
        matrices.all += 1
        if isExact { matrices.exact += 1 }
      }
      if isExact { exactTensors += 1 } else if firstDifferent == nil { firstDifferent = role }
    }
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
