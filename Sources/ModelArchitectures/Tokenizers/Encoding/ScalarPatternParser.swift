/// Parses the regular expressions of `ScalarPattern`.
struct ScalarPatternParser {
  private typealias Node = ScalarPattern.Node
  private let text: [UnicodeScalar]
  private var position = 0
  private var anyCase = false
  private var depth = 0

  /// Largest count of a repetition that is believed.
  private static let countLimit = 1000

  init(_ text: String) { self.text = Array(text.unicodeScalars) }

  /// The whole pattern, or nil when a part of it is not known.
  mutating func parse() -> ScalarPattern.Node? {
    guard let node = parseAlternatives(), position == text.count else { return nil }
    return node
  }

  private var next: UnicodeScalar? { position < text.count ? text[position] : nil }

  private mutating func take(_ literal: String) -> Bool {
    let scalars = Array(literal.unicodeScalars)
    guard text.count - position >= scalars.count,
      text[position..<position + scalars.count].elementsEqual(scalars)
    else { return false }
    position += scalars.count
    return true
  }

  private mutating func parseAlternatives() -> Node? {
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { return nil }
    var branches: [Node] = []
    repeat {
      guard let branch = parseSequence() else { return nil }
      branches.append(branch)
    } while take("|")
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func parseSequence() -> Node? {
    var nodes: [Node] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      guard let atom = parseAtom(), let node = parseQuantifiers(after: atom) else { return nil }
      nodes.append(node)
    }
    return nodes.count == 1 ? nodes[0] : .sequence(nodes)
  }

  private mutating func parseAtom() -> Node? {
    guard let scalar = next else { return nil }
    position += 1
    switch scalar {
    case "(": return parseGroup()
    case "[": return parseClass().map { .set($0, anyCase: anyCase) }
    case ".": return .set(.inverted(.range(10...10)), anyCase: false)
    case "^": return .lineStart
    case "$": return .lineEnd
    case "\\": return parseEscape()
    case "*", "+", "?": return nil
    default: return literal(scalar)
    }
  }

  private func literal(_ scalar: UnicodeScalar) -> Node { .set(.range(scalar.value...scalar.value), anyCase: anyCase) }

  private mutating func parseEscape() -> Node? {
    switch next {
    case "b"?, "B"?, "A"?, "z"?, "Z"?:
      defer { position += 1 }
      switch next {
      case "b"?: return .wordBoundary(negated: false)
      case "B"?: return .wordBoundary(negated: true)
      case "A"?: return .textStart
      case "z"?: return .textEnd
      default: return nil
      }
    default: return parseEscapedSet().map { .set($0, anyCase: anyCase) }
    }
  }

  private mutating func parseGroup() -> Node? {
    let outerCase = anyCase
    defer { anyCase = outerCase }
    if take("?") {
      if take("=") { return closed { .ahead($0, negated: false) } }
      if take("!") { return closed { .ahead($0, negated: true) } }
      if take("<=") { return closed { .behind($0, negated: false) } }
      if take("<!") { return closed { .behind($0, negated: true) } }
      if take(">") { return closed { .repeated($0, 1...1, .possessive) } }
      if take(":") { return closed { $0 } }
      if take("i:") {
        anyCase = true
        return closed { $0 }
      }
      if take("-i:") {
        anyCase = false
        return closed { $0 }
      }
      if take("i)") {
        // The flag holds for the rest of the group around it.
        anyCase = true
        return parseAlternatives()
      }
      return nil
    }
    return closed { $0 }
  }

  private mutating func closed(_ make: (Node) -> Node) -> Node? {
    guard let inner = parseAlternatives(), take(")") else { return nil }
    return make(inner)
  }

  private mutating func parseQuantifiers(after atom: Node) -> Node? {
    var node = atom
    while let scalar = next {
      let counts: ClosedRange<Int>
      var isInterval = false
      switch scalar {
      case "*": (counts, position) = (0...Int.max, position + 1)
      case "+": (counts, position) = (1...Int.max, position + 1)
      case "?": (counts, position) = (0...1, position + 1)
      case "{":
        guard let interval = parseInterval() else { return nil }
        (counts, isInterval) = (interval, true)
      default: return node
      }
      var manner = ScalarPattern.Manner.greedy
      if take("?") {
        manner = .lazy
      } else if !isInterval, take("+") {
        // After an interval a plus sign repeats the whole, in Ruby's rules.
        manner = .possessive
      }
      node = .repeated(node, counts, manner)
    }
    return node
  }

  private mutating func parseInterval() -> ClosedRange<Int>? {
    guard take("{") else { return nil }
    let low = parseNumber()
    var high = low
    if take(",") {
      high = parseNumber() ?? (next == "}" ? Int.max : nil)
    } else if low == nil {
      return nil
    }
    guard take("}"), let high, (low ?? 0) <= high, (low ?? 0) <= Self.countLimit else { return nil }
    return (low ?? 0)...high
  }

  private mutating func parseNumber() -> Int? {
    var value: Int?
    while let scalar = next, ("0"..."9").contains(scalar) {
      value = (value ?? 0) * 10 + Int(scalar.value - 48)
      position += 1
      if value ?? 0 > Self.countLimit { return nil }
    }
    return value
  }
}

// MARK: - Classes

extension ScalarPatternParser {
  /// A class after its opening bracket.
  private mutating func parseClass() -> ScalarSet? {
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { return nil }
    let isInverted = take("^")
    var intersected: [ScalarSet] = []
    var members: [ScalarSet] = []
    var isFirst = true
    while let scalar = next {
      if scalar == "]", !isFirst {
        position += 1
        let last = members.count == 1 ? members[0] : ScalarSet.union(members)
        let set = intersected.isEmpty ? last : .intersection(intersected + [last])
        return isInverted ? .inverted(set) : set
      }
      isFirst = false
      if take("&&") {
        intersected.append(.union(members))
        members = []
        continue
      }
      guard let member = parseClassMember() else { return nil }
      members.append(member)
    }
    return nil
  }

  private mutating func parseClassMember() -> ScalarSet? {
    guard let first = next else { return nil }
    position += 1
    if first == "[" { return next == ":" ? nil : parseClass() }
    let set: ScalarSet
    if first == "\\" {
      guard let escaped = parseEscapedSet() else { return nil }
      set = escaped
    } else {
      set = .range(first.value...first.value)
    }
    guard case .range(let low) = set, next == "-", position + 1 < text.count, text[position + 1] != "]",
      text[position + 1] != "["
    else { return set }
    position += 1
    guard let last = next else { return nil }
    position += 1
    var high = last.value
    if last == "\\" {
      guard case .range(let range)? = parseEscapedSet() else { return nil }
      high = range.lowerBound
    }
    return low.lowerBound <= high ? .range(low.lowerBound...high) : nil
  }

  /// What an escape stands for, after its backslash.
  private mutating func parseEscapedSet() -> ScalarSet? {
    guard let scalar = next else { return nil }
    position += 1
    func one(_ value: UInt32) -> ScalarSet { .range(value...value) }
    switch scalar {
    case "s": return .whiteSpace
    case "S": return .inverted(.whiteSpace)
    case "d": return .category("Nd")
    case "D": return .inverted(.category("Nd"))
    case "w": return .word
    case "W": return .inverted(.word)
    case "p": return parseProperty()
    case "P": return parseProperty().map { .inverted($0) }
    case "n": return one(10)
    case "r": return one(13)
    case "t": return one(9)
    case "f": return one(12)
    case "v": return one(11)
    case "e": return one(27)
    case "a": return one(7)
    case "u": return parseHexadecimal(digits: 4...4).map(one)
    case "x":
      if take("{") {
        guard let value = parseHexadecimal(digits: 1...6), take("}") else { return nil }
        return one(value)
      }
      return parseHexadecimal(digits: 1...2).map(one)
    case "0"..."9", "a"..."z", "A"..."Z": return nil
    default: return one(scalar.value)
    }
  }

  private mutating func parseHexadecimal(digits: ClosedRange<Int>) -> UInt32? {
    var value: UInt32 = 0
    var count = 0
    while count < digits.upperBound, let digit = next.flatMap({ Character($0).hexDigitValue }) {
      value = value << 4 | UInt32(digit)
      position += 1
      count += 1
    }
    return digits.contains(count) ? value : nil
  }

  private mutating func parseProperty() -> ScalarSet? {
    guard take("{") else { return nil }
    let isInverted = take("^")
    var name = ""
    while let scalar = next, scalar != "}" {
      name.unicodeScalars.append(scalar)
      position += 1
    }
    guard take("}"), let set = Self.property(name) else { return nil }
    return isInverted ? .inverted(set) : set
  }

  private static func property(_ name: String) -> ScalarSet? {
    switch name {
    case "L", "M", "N", "P", "S", "Z", "C", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc",
      "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn":
      .category(name)
    case "Letter": .category("L")
    case "Mark": .category("M")
    case "Number": .category("N")
    case "Punctuation": .category("P")
    case "Symbol": .category("S")
    case "White_Space", "Space": .whiteSpace
    case "Han", "Hiragana", "Katakana": .script(name)
    case "Any": .any
    default: nil
    }
  }
}
