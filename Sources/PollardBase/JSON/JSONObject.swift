/// The members of a JSON object in the order of their file. Keys are unique, and told apart by their bytes.
public struct JSONObject: Sendable {
  /// One key with its value.
  public struct Member: Sendable, Hashable {
    /// The key, unescaped.
    public let key: String
    /// The value.
    public var value: JSONValue
  }

  /// The members in order.
  public private(set) var members: [Member]
  /// Positions by key; only kept for objects that are too long to search.
  private var positions: [ExactString: Int]?

  private static let searchableCount = 16

  /// An object without members.
  public init() { members = [] }

  /// An object of members, the later of two with equal keys replacing the value of the earlier.
  public init(_ members: some Sequence<(key: String, value: JSONValue)>) {
    self.init()
    for (key, value) in members { set(key, to: value) }
  }

  /// The number of members.
  public var count: Int { members.count }

  /// Whether there are no members.
  public var isEmpty: Bool { members.isEmpty }

  /// The keys in order.
  public var keys: [String] { members.map(\.key) }

  /// Where a key is among the members.
  ///
  /// - Complexity: O(1) on average.
  public func position(of key: String) -> Int? {
    if let positions { return positions[ExactString(key)] }
    return members.firstIndex { haveSameBytes($0.key, key) }
  }

  /// The value of a key. Setting replaces in place or appends; setting nil removes.
  public subscript(key: String) -> JSONValue? {
    get { position(of: key).map { members[$0].value } }
    set {
      if let newValue { set(key, to: newValue) } else { remove(key) }
    }
  }

  /// Replaces the value of a key in place, or appends the member when the key is new.
  public mutating func set(_ key: String, to value: JSONValue) {
    if let position = position(of: key) {
      members[position].value = value
    } else {
      append(key, value)
    }
  }

  /// Removes a key; the order of the others stays.
  ///
  /// - Complexity: O(n).
  public mutating func remove(_ key: String) {
    guard let position = position(of: key) else { return }
    members.remove(at: position)
    positions = nil
    indexIfLong()
  }

  /// Appends a member, or gives the position of the member that has the key already.
  @discardableResult
  package mutating func append(_ key: String, _ value: JSONValue) -> Int? {
    if let existing = position(of: key) { return existing }
    members.append(Member(key: key, value: value))
    if positions != nil {
      positions?[ExactString(key)] = members.count - 1
    } else {
      indexIfLong()
    }
    return nil
  }

  private mutating func indexIfLong() {
    guard members.count > Self.searchableCount else { return }
    var index: [ExactString: Int] = [:]
    index.reserveCapacity(members.count * 2)
    for (position, member) in members.enumerated() { index[ExactString(member.key)] = position }
    positions = index
  }
}

extension JSONObject: Hashable {
  /// Objects are equal when they have equal members in the same order.
  public static func == (a: Self, b: Self) -> Bool { a.members == b.members }

  /// Hashes the members.
  public func hash(into hasher: inout Hasher) { hasher.combine(members) }
}

extension JSONObject: Sequence {
  /// Visits the members in order.
  public func makeIterator() -> IndexingIterator<[Member]> { members.makeIterator() }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  /// An object from a literal; the order is that of the literal.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self.init(elements.map { (key: $0.0, value: $0.1) })
  }
}
