import PollardBase

extension Receipt {
  /// What a receipt says was left out.
  ///
  /// - Throws: `receiptMalformed`.
  static func removals(_ value: JSONValue, _ path: String) throws(FormatError) -> LayerRemovals {
    var result = LayerRemovals()
    for (key, place) in [("dropped_layers", \LayerRemovals.dropped), ("dead_layers", \LayerRemovals.dead)] {
      guard let list = value[key] else { continue }
      guard let numbers = indices(list, below: 1 << 20) else {
        throw FormatError(
          .receiptMalformed, file: path, subject: .key(key), expected: "ascending numbers", found: "others")
      }
      result[keyPath: place] = numbers
    }
    if let list = value["dead_parts"] {
      let parts = list.arrayValue?.map(LayerRemovals.Part.init) ?? [nil]
      result.parts = parts.compactMap(\.self)
      guard result.parts.count == parts.count else {
        throw FormatError(
          .receiptMalformed, file: path, subject: .key("dead_parts"), expected: "a list of layers with their parts",
          found: "others")
      }
    }
    return result
  }
}

extension LayerRemovals {
  /// A receipt with what was left out; keys stand only where something was.
  func noted(in receipt: JSONValue) -> JSONValue {
    var receipt = receipt
    func list(_ numbers: [Int]) -> JSONValue { .array(numbers.map { JSONValue($0) }) }
    if !dropped.isEmpty { receipt = receipt.settingKey("dropped_layers", to: list(dropped)) }
    if !dead.isEmpty { receipt = receipt.settingKey("dead_layers", to: list(dead)) }
    if !parts.isEmpty { receipt = receipt.settingKey("dead_parts", to: .array(parts.map(\.json))) }
    return receipt
  }
}
