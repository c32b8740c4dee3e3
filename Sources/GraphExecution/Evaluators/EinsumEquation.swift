/// An equation of Einstein's summation convention, such as `bij,bjk->bik`: a label for each axis of each operand and of the result.
///
/// `...` stands for the axes that no letter names. Without `->`, the result has the ellipsis, then the letters that occur once, sorted.
/// - Source: ONNX Einsum-12.
struct EinsumEquation {
  /// The labels of each operand's axes; axes of an ellipsis have negative ones, -1 the last.
  var operands: [[Int]] = []
  /// The labels of the result's axes.
  var result: [Int] = []

  /// Reads an equation for operands of the given ranks, or gives nil when it is malformed or does not fit.
  init?(_ text: String, ranks: [Int]) {
    let bytes = text.utf8.filter { $0 != 0x20 }
    let ellipsis = Self.ellipsisLabel
    guard let (left, right) = Self.divide(bytes) else { return nil }
    let terms = left.split(separator: 0x2C, omittingEmptySubsequences: false)
    guard terms.count == ranks.count else { return nil }
    var widest = 0
    for (term, rank) in zip(terms, ranks) {
      guard let labels = Self.labels(term) else { return nil }
      let letters = labels.filter { $0 != ellipsis }.count
      guard labels.contains(ellipsis) ? letters <= rank : letters == rank else { return nil }
      widest = max(widest, labels.contains(ellipsis) ? rank - letters : 0)
      operands.append(Self.expand(labels, to: rank - letters))
    }
    if let right {
      guard let labels = Self.labels(right) else { return nil }
      result = Self.expand(labels, to: widest)
    } else {
      let all = operands.joined().filter { $0 > 0 }
      result =
        (0..<widest).map { $0 - widest }
        + Set(all).sorted().filter { label in
          all.filter { $0 == label }.count == 1
        }
    }
    let known = Set(operands.joined())
    guard Set(result).count == result.count, result.allSatisfy(known.contains) else { return nil }
  }

  private static let ellipsisLabel = 0

  /// The terms before and after the arrow.
  private static func divide(_ bytes: [UInt8]) -> (ArraySlice<UInt8>, ArraySlice<UInt8>?)? {
    guard let dash = bytes.firstIndex(of: 0x2D) else { return (bytes[...], nil) }
    guard dash + 1 < bytes.count, bytes[dash + 1] == 0x3E else { return nil }
    return (bytes[..<dash], bytes[(dash + 2)...])
  }

  /// Letters by their codes, and 0 for an ellipsis.
  private static func labels(_ term: ArraySlice<UInt8>) -> [Int]? {
    var labels: [Int] = []
    var rest = term
    while let byte = rest.first {
      switch byte {
      case 0x41...0x5A, 0x61...0x7A:
        labels.append(Int(byte))
        rest = rest.dropFirst()
      case 0x2E:
        guard rest.prefix(3).count == 3, rest.prefix(3).allSatisfy({ $0 == 0x2E }), !labels.contains(ellipsisLabel)
        else { return nil }
        labels.append(ellipsisLabel)
        rest = rest.dropFirst(3)
      default: return nil
      }
    }
    return labels
  }

  private static func expand(_ labels: [Int], to count: Int) -> [Int] {
    labels.flatMap { $0 == ellipsisLabel ? (0..<max(count, 0)).map { $0 - count } : [$0] }
  }
}
