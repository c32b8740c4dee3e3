/// The numbers of layers in an option's text: `3,7` or `20-23`.
///
/// - Throws: `UsageError` for anything else.
func layerNumbers(_ text: String?) throws -> [Int] {
  guard let text else { return [] }
  var numbers: [Int] = []
  for part in text.split(separator: ",", omittingEmptySubsequences: false) {
    let bounds = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, bounds.count <= 2, 0 <= first, first <= last,
      last < 1 << 16
    else { throw UsageError(description: "--drop-layers takes numbers such as 3,7 or 20-23, not \(text)") }
    numbers += first...last
  }
  return numbers
}
