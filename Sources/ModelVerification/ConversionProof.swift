import PollardBase
import TensorStorage

/// How many tensors of a converted model are the original's, rounded to the type they are stored in.
///
/// Rounding is deterministic, so a conversion can be proved byte for byte where the rounding is the reference's: to nearest, ties to even for
/// element types, the reference quantiser without an importance matrix for packed ones.
public struct ConversionProof: Sendable, Hashable {
  /// Tensors that are exactly the rounded original's.
  public var exactTensors = 0
  /// Tensors of the converted model.
  public var tensors = 0
  /// The first tensor that is not.
  public var firstDifferent: String?

  /// Whether every tensor is.
  public var isComplete: Bool { tensors > 0 && exactTensors == tensors }

  /// Compares tensors by the part they play; stops at the first that differs.
  ///
  /// - Parameters:
  ///   - expected: the original's tensors as they must be, in any type.
  ///   - found: the converted model's, turned into the original's orientation.
  /// - Throws: what reading either side throws.
  /// - Complexity: O(bytes of both), in memory bounded by a few chunks.
  public init(
    expected: [(role: String, weight: Weight)], found: [(role: String, weight: Weight)], pool: ThreadPool
  ) throws(FormatError) {
    let originals = Dictionary(expected.map { ($0.role, $0.weight) }, uniquingKeysWith: { first, _ in first })
    tensors = found.count
    for (role, weight) in found {
      guard let original = originals[role], try Self.isRounded(original, as: weight, pool) else {
        firstDifferent = role
        return
      }
      exactTensors += 1
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
