import PollardBase
import TensorKernels

/// How far one value of two runs agrees.
public struct ValueAgreement: Sendable {
  /// What was compared.
  public var value: ComparedValue
  /// Whether the value has no elements in either model, as a cache that a branch leaves out.
  public var isEmpty = false
  /// Elements that were compared, those at positions the attention mask admits.
  public var compared = 0
  /// Elements that differ; NaN matches NaN and zeros of either sign match.
  public var differing = 0
  /// The largest absolute difference.
  public var maximumAbsolute = 0.0
  /// The largest difference in representable numbers.
  public var maximumULP: UInt64 = 0
  /// The largest magnitude in the reference.
  public var maximumReference = 0.0
  /// Zeros whose signs differ.
  public var signDifferences = 0
  /// The cosine of both, 1 when either is zero.
  public var cosine = 1.0
  /// The first of the compared elements that differs.
  public var firstIndex: Int?
  /// Where the first difference sits, as a phrase: `layer 3, head 5`.
  public var firstDifference: String?
}

extension ValueAgreement {
  /// Compares what two models have for a value.
  init(_ value: ComparedValue, _ a: ComparedPart, _ b: ComparedPart, _ pool: ThreadPool) {
    self.init(value: value)
    isEmpty = a.isEmpty && b.isEmpty
    guard let (comparison, count) = a.comparison(with: b, pool) else {
      differing = max(a.count, b.count)
      maximumAbsolute = .infinity
      firstDifference = "\(value.name): other extents"
      return
    }
    compared = count
    differing = comparison.differing
    maximumAbsolute = comparison.nonfiniteMismatches > 0 ? .infinity : comparison.maximumAbsolute
    maximumULP = comparison.maximumULP
    maximumReference = comparison.maximumReference
    signDifferences = comparison.signDifferences
    let (both, xx, yy) = comparison.dotProducts
    cosine = xx > 0 && yy > 0 ? both / (xx * yy).squareRoot() : 1
    firstIndex = comparison.firstDiffering
    if let first = comparison.firstDiffering { firstDifference = phrase(first, b.width) }
  }

  /// Where a difference sits, in words.
  private func phrase(_ index: Int, _ width: Int) -> String {
    let place = index % max(width, 1)
    let unit = value.units.flatMap { $0.indices.contains(place) ? $0[place] : nil }
    let layer = value.layer.map { "layer \($0), " } ?? ""
    switch value.kind {
    case .heads: return layer + "head \(unit ?? place)"
    case .neurons: return layer + "neuron \(unit ?? place)"
    case .state, .output: return "\(value.name), channel \(place) of compared row \(index / max(width, 1))"
    }
  }
}
