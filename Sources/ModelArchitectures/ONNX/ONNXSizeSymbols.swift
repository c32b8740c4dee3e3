import CheckpointFormats
import ModelGraph
import PollardBase

/// The symbols of the graph that stand for the named sizes of a file, and those for sizes without a name.
struct ONNXSizeSymbols: Sendable {
  private var symbols: [ByteString: String] = [:]
  private var taken: Set<String> = []
  /// The file's name of each symbol that has one.
  private(set) var names: [String: ByteString] = [:]

  /// The size of an axis of an interface value; an extent below zero is one that nobody knows.
  mutating func size(of dimension: ONNXDimension, axis: Int, of value: String) -> Size {
    if let extent = dimension.value, extent >= 0, let known = Int(exactly: extent) { return Size(known) }
    if let name = dimension.parameter, !name.isEmpty {
      if let known = symbols[name] { return .symbol(known) }
      let symbol = unused(name.description)
      symbols[name] = symbol
      names[symbol] = name
      return .symbol(symbol)
    }
    return .symbol(unused("\(value).\(axis)"))
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
