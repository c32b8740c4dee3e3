import CTensorKernels

/// How two buffers of float32, of doubles or of integers differ, the first being the reference. NaN matches NaN, +0 matches -0.
public struct BufferComparison: Sendable {
  /// Pairs that are neither equal nor both NaN.
  public var differing: Int
  /// Index of the first of them.
  public var firstDiffering: Int?
  /// Pairs of +0 and -0, which count as equal.
  public var signDifferences: Int
  /// Of the differing pairs, those of which one or both are NaN or infinite.
  public var nonfiniteMismatches: Int
  /// Largest distance of a finite pair, in representable values of the type.
  public var maximumULP: UInt64
  /// Largest absolute difference of a finite pair.
  public var maximumAbsolute: Double
  /// Largest finite magnitude of the reference.
  public var maximumReference: Double
  /// Sums over finite pairs, for the cosine: reference · other, reference², other².
  public var dotProducts: (both: Double, reference: Double, other: Double)

  /// Whether every pair is equal.
  public var isEqual: Bool { differing == 0 }

  /// Compares `reference` and `other`.
  ///
  /// - Precondition: equal counts.
  /// - Complexity: O(count)
  public init(reference: UnsafeBufferPointer<Float>, other: UnsafeBufferPointer<Float>) {
    precondition(reference.count == other.count, "the buffers have different lengths")
    self.init(pollard_compare_f32(reference.baseAddress, other.baseAddress, reference.count))
  }

  /// Compares `reference` and `other`.
  ///
  /// - Precondition: equal counts.
  /// - Complexity: O(count)
  public init(reference: UnsafeBufferPointer<Double>, other: UnsafeBufferPointer<Double>) {
    precondition(reference.count == other.count, "the buffers have different lengths")
    self.init(pollard_compare_f64(reference.baseAddress, other.baseAddress, reference.count))
  }

  /// Nothing compared yet.
  init() { self.init(pollard_comparison()) }

  private init(_ result: pollard_comparison) {
    differing = Int(result.differing)
    firstDiffering = result.differing == 0 ? nil : Int(result.first_differing)
    signDifferences = Int(result.sign_differences)
    nonfiniteMismatches = Int(result.nonfinite_mismatches)
    maximumULP = result.max_ulp
    maximumAbsolute = result.max_absolute
    maximumReference = result.max_reference
    dotProducts = (result.dot_ab, result.dot_aa, result.dot_bb)
  }
}
