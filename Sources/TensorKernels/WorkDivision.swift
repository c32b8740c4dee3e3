import PollardBase

/// The part `index` of `count` nearly equal parts of `0..<total`.
func part(_ index: Int, of count: Int, in total: Int) -> Range<Int> {
  let (share, rest) = total.quotientAndRemainder(dividingBy: count)
  let start = index * share + min(index, rest)
  return start..<(start + share + (index < rest ? 1 : 0))
}

extension ThreadPool {
  /// Splits `rows` rows of `columns` elements into ranges of at least `grain` elements and runs `body` for each.
  func forEachRowRange(rows: Int, columns: Int, grain: Int, _ body: @Sendable (Range<Int>) -> Void) {
    guard rows > 0 else { return }
    let rowsPerGrain = max(1, grain / max(columns, 1))
    let parts = threadCount == 1 ? 1 : min(max(1, rows / rowsPerGrain), 4 * threadCount)
    forEach(parts) { body(part($0, of: parts, in: rows)) }
  }
}
