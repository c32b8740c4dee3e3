import CheckpointFormats
import ModelGraph
import PollardBase

/// The symbols of the graph that stand for the named sizes of a file, and those for sizes without a name.
struct ONNXSizeSymbols: Sendable {
  private var symbols: [ByteString: String] = [:]
  private var taken: Set<String> = []
  /// The file's name of each symbol that has one.
  private(set) var names: [String: ByteString] = [:]

  /// The size of an axis of an interface value; an extent below zero, or of 2⁴⁸ and more, is one that nobody knows.
  mutating func size(of dimension: ONNXDimension, axis: Int, of value: String) -> Size {
    if let extent = dimension.value, (0..<1 << 48).contains(extent), let known = Int(exactly: extent) {
      return Size(known)
    }
    if let name = dimension.parameter, !name.isEmpty { return sum(of: name) ?? symbol(for: name) }
    return .symbol(unused("\(value).\(axis)"))
  }

  /// A sum of names and numbers, as exporters name the length of past and present together; nil when the name is none.
  private mutating func sum(of name: ByteString) -> Size? {
    guard let text = name.text else { return nil }
    let terms = text.split(separator: "+", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
    guard terms.count > 1,
      terms.allSatisfy({ $0.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" } && !$0.isEmpty })
    else { return nil }
    var total = Size(0)
    for term in terms {
      guard let next = total.adding(Int(term).map { Size($0) } ?? symbol(for: ByteString(String(term)))) else {
        return nil
      }
      total = next
    }
    return total
  }

  private mutating func symbol(for name: ByteString) -> Size {
    if let known = symbols[name] { return .symbol(known) }
    let symbol = unused(name.description)
    symbols[name] = symbol
    names[symbol] = name
    return .symbol(symbol)
  }

  /// Parentheses belong to the names of computed sizes.
  private mutating func unused(_ name: String) -> String {
    let plain = String(name.map { $0 == "(" ? "[" : $0 == ")" ? "]" : $0 })
    var candidate = plain
    var number = 1
    while !taken.insert(candidate).inserted {
      number += 1
      candidate = "\(plain)#\(number)"
    }
    return candidate
  }
}
