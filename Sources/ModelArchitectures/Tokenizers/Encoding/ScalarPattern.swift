/// A regular expression over Unicode scalars, with the syntax that the tokenizers library takes (Oniguruma, Ruby rules).
///
/// Patterns come from files, so matching counts its steps and gives up on a pattern that takes too many; what the parser does
/// not know makes the pattern unusable rather than wrong.
struct ScalarPattern: Sendable {
  /// A part of a pattern.
  indirect enum Node: Sendable {
    /// One scalar of a set, in any case if the flag is set.
    case set(ScalarSet, anyCase: Bool)
    case sequence([Node])
    case alternatives([Node])
    /// A node so many times; possessive ones never give back.
    case repeated(Node, ClosedRange<Int>, Manner)
    case ahead(Node, negated: Bool)
    case behind(Node, negated: Bool)
    case lineStart
    case lineEnd
    case textStart
    case textEnd
    case wordBoundary(negated: Bool)
  }

  /// Which count a repetition tries first.
  enum Manner: Sendable {
    case greedy
    case lazy
    case possessive
  }

  private let root: Node

  /// Parses a pattern; nil when a part of it is not known.
  init?(_ text: String) {
    var parser = ScalarPatternParser(text)
    guard let root = parser.parse() else { return nil }
    self.root = root
  }

  /// The ranges of the matches in a text from left to right, empty ones left out; nil when matching takes too many steps.
  func matches(in text: [UnicodeScalar]) -> [Range<Int>]? {
    let matcher = Matcher(text: text)
    var result: [Range<Int>] = []
    var position = 0
    while position < text.count {
      var end: Int?
      let found = matcher.match(root, position) { reached in
        end = reached
        return true
      }
      if matcher.steps > Matcher.limit { return nil }
      if found, let end, end > position {
        result.append(position..<end)
        position = end
      } else {
        position += 1
      }
    }
    return result
  }

  /// A backtracking matcher that counts its steps.
  private final class Matcher {
    private(set) var steps = 0
    private var depth = 0
    private let text: [UnicodeScalar]
    static let limit = 20_000_000
    private static let depthLimit = 1_500

    init(text: [UnicodeScalar]) { self.text = text }

    func match(_ node: Node, _ position: Int, _ next: (Int) -> Bool) -> Bool {
      steps += 1
      guard steps <= Matcher.limit, depth < Self.depthLimit else {
        steps = Matcher.limit + 1
        return false
      }
      depth += 1
      defer { depth -= 1 }
      switch node {
      case .set(let set, let anyCase):
        guard position < text.count else { return false }
        let isMember = anyCase ? set.containsAnyCase(text[position]) : set.contains(text[position])
        return isMember && next(position + 1)
      case .sequence(let nodes): return matchSequence(nodes[...], position, next)
      case .alternatives(let nodes): return nodes.contains { match($0, position, next) }
      case .repeated(let inner, let counts, let manner):
        return matchRepeated(inner, counts, manner, position, next)
      case .ahead(let inner, let negated):
        return match(inner, position) { _ in true } != negated && next(position)
      case .behind(let inner, let negated):
        let found = (0...position).reversed().contains { start in
          match(inner, start) { $0 == position }
        }
        return found != negated && next(position)
      case .lineStart: return (position == 0 || text[position - 1] == "\n") && next(position)
      case .lineEnd: return (position == text.count || text[position] == "\n") && next(position)
      case .textStart: return position == 0 && next(position)
      case .textEnd: return position == text.count && next(position)
      case .wordBoundary(let negated):
        let before = position > 0 && ScalarSet.word.contains(text[position - 1])
        let after = position < text.count && ScalarSet.word.contains(text[position])
        return (before != after) != negated && next(position)
      }
    }

    private func matchSequence(
      _ nodes: ArraySlice<Node>, _ position: Int, _ next: (Int) -> Bool
    ) -> Bool {
      guard let first = nodes.first else { return next(position) }
      return match(first, position) { matchSequence(nodes.dropFirst(), $0, next) }
    }

    private func matchRepeated(
      _ inner: Node, _ counts: ClosedRange<Int>, _ manner: Manner, _ position: Int,
      _ next: (Int) -> Bool
    ) -> Bool {
      if case .set(let set, let anyCase) = inner {
        return matchRun(set, anyCase, counts, manner, position, next)
      }
      if manner == .possessive {
        var end = position
        var count = 0
        while count < counts.upperBound {
          var reached: Int?
          let found = match(inner, end) {
            reached = $0
            return true
          }
          guard found, let reached, reached > end else { break }
          end = reached
          count += 1
        }
        return count >= counts.lowerBound && next(end)
      }
      return matchCount(0, inner, counts, manner, position, next)
    }

    private func matchCount(
      _ count: Int, _ inner: Node, _ counts: ClosedRange<Int>, _ manner: Manner,
      _ position: Int, _ next: (Int) -> Bool
    ) -> Bool {
      let mayStop = count >= counts.lowerBound
      if manner == .lazy, mayStop, next(position) { return true }
      if count < counts.upperBound {
        let found = match(inner, position) { reached in
          // A repetition that consumes nothing would never end.
          if reached == position, mayStop { return false }
          return matchCount(count + 1, inner, counts, manner, reached, next)
        }
        if found { return true }
      }
      return manner != .lazy && mayStop && next(position)
    }

    /// A repetition of single scalars, without recursion.
    private func matchRun(
      _ set: ScalarSet, _ anyCase: Bool, _ counts: ClosedRange<Int>, _ manner: Manner,
      _ position: Int, _ next: (Int) -> Bool
    ) -> Bool {
      var longest = 0
      while longest < counts.upperBound, position + longest < text.count {
        let scalar = text[position + longest]
        guard anyCase ? set.containsAnyCase(scalar) : set.contains(scalar) else { break }
        longest += 1
      }
      steps += longest
      guard longest >= counts.lowerBound else { return false }
      switch manner {
      case .possessive: return next(position + longest)
      case .greedy: return (counts.lowerBound...longest).reversed().contains { next(position + $0) }
      case .lazy: return (counts.lowerBound...longest).contains { next(position + $0) }
      }
    }
  }
}
