/// At which versions of ONNX's own operator set each operator was defined anew.
public enum OperatorVersions {
  /// The definition of an operator that a version of the operator set has: the last version up to it that changed the operator.
  ///
  /// - Returns: nil when the operator does not exist, or not yet.
  public static func version(of op: String, in operatorSet: Int) -> Int? {
    table[op]?.last { $0 <= operatorSet }
  }

  /// The first version that has an operator.
  public static func first(of op: String) -> Int? { table[op]?.first }

  /// The versions of each operator, ascending.
  package static let table: [String: [Int]] = {
    var result: [String: [Int]] = [:]
    for entry in text.split(whereSeparator: \.isWhitespace) {
      let parts = entry.split(separator: ":")
      guard parts.count == 2 else { continue }
      result[String(parts[0])] = parts[1].split(separator: ",").compactMap { Int($0) }
    }
    return result
  }()
}
