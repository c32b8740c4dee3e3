/// Columns of text, aligned: the first to the left, numbers to the right.
struct TextTable {
  private var rows: [[String]] = []
  private let alignsRight: [Bool]

  /// A table with a header row; columns whose title starts with `#` are aligned right, without the mark.
  init(_ titles: [String]) {
    alignsRight = titles.map { $0.hasPrefix("#") }
    rows = [titles.map { $0.hasPrefix("#") ? String($0.dropFirst()) : $0 }]
  }

  /// Adds a row with as many cells as there are columns.
  mutating func add(_ cells: String...) { rows.append(cells) }

  /// Adds a row with as many cells as there are columns.
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The lines, each indented by two spaces, without spaces at their ends.
  var text: String {
    let widths = alignsRight.indices.map { column in rows.map { $0[column].unicodeScalars.count }.max() ?? 0 }
    return rows.map { row in
      var line = " "
      for (column, cell) in row.enumerated() {
        let fill = String(repeating: " ", count: widths[column] - cell.unicodeScalars.count)
        line += " " + (alignsRight[column] ? fill + cell : cell + fill) + " "
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

/// Ascending indices for a person, runs joined: `0-3, 7, 9-11`.
func humanIndices(_ indices: [Int]) -> String {
  var parts: [String] = []
  var start = 0
  while start < indices.count {
    var end = start
    while end + 1 < indices.count, indices[end + 1] == indices[end] + 1 { end += 1 }
    parts.append(end == start ? "\(indices[start])" : "\(indices[start])-\(indices[end])")
    start = end + 1
  }
  return parts.isEmpty ? "none" : parts.joined(separator: ", ")
}

/// The first names of a list, and how many more there are.
func listed(_ names: [String], first count: Int = 3) -> String {
  let rest = names.count - count
  return names.prefix(count).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
}
