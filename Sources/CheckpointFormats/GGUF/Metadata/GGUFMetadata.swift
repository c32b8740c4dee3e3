import PollardBase

/// The keys and values of a GGUF file, in its order, with their exact types.
///
///     var metadata = GGUFMetadata()
///     metadata.append("general.architecture", .string("llama"))
///     metadata.append("llama.block_count", .uint32(2))
///     let layers = try metadata.integer("llama.block_count")
public struct GGUFMetadata: Sendable {
  /// A key with its value.
  public struct Entry: Sendable, Hashable {
    /// The key.
    public let key: String
    /// The value.
    public var value: GGUFValue

    /// Pairs a key with a value.
    public init(_ key: String, _ value: GGUFValue) {
      self.key = key
      self.value = value
    }

    /// Keys are told apart by their bytes.
    public static func == (a: Self, b: Self) -> Bool { haveSameBytes(a.key, b.key) && a.value == b.value }

    /// Hashes key and value.
    public func hash(into hasher: inout Hasher) {
      hasher.combine(ExactString(key))
      hasher.combine(value)
    }
  }

  /// The entries in order.
  public private(set) var entries: [Entry] = []
  private var positions: [ExactString: Int] = [:]

  /// No keys.
  public init() {}

  /// The number of keys.
  public var count: Int { entries.count }

  /// The keys in order.
  public var keys: [String] { entries.map(\.key) }

  /// The value of a key, or nil when there is none.
  public subscript(key: String) -> GGUFValue? { positions[ExactString(key)].map { entries[$0].value } }

  /// Whether there is a value.
  public func contains(_ key: String) -> Bool { positions[ExactString(key)] != nil }

  /// Adds a key at the end; one that exists is given the value in its place, with the new type.
  public mutating func append(_ key: String, _ value: GGUFValue) { set(key, to: value, keepingType: false) }

  /// Gives a key a value; one that is new goes to the end.
  ///
  /// - Parameter keepingType: whether a key that exists keeps its stored type, where that holds the value as
  ///   `converted(to:elementType:)` says.
  public mutating func set(_ key: String, to value: GGUFValue, keepingType: Bool = true) {
    guard let position = positions[ExactString(key)] else {
      positions[ExactString(key)] = entries.count
      entries.append(Entry(key, value))
      return
    }
    let stored = entries[position].value
    let converted = keepingType ? value.converted(to: stored.type, elementType: stored.array?.elementType) : nil
    entries[position].value = converted ?? value
  }

  /// Removes a key and gives its value, or nil when there was none.
  ///
  /// - Complexity: O(number of keys).
  @discardableResult
  public mutating func remove(_ key: String) -> GGUFValue? {
    guard let position = positions.removeValue(forKey: ExactString(key)) else { return nil }
    let value = entries.remove(at: position).value
    for index in position..<entries.count { positions[ExactString(entries[index].key)] = index }
    return value
  }

  /// Removes every key that a condition holds for.
  public mutating func removeAll(where condition: (_ key: String) -> Bool) {
    entries.removeAll { condition($0.key) }
    positions = [:]
    for (index, entry) in entries.enumerated() { positions[ExactString(entry.key)] = index }
  }

  /// Gives a key another name in its place; does nothing when there is none. A key of the new name goes away.
  public mutating func rename(_ key: String, to name: String) {
    guard contains(key), !haveSameBytes(key, name) else { return }
    remove(name)
    guard let position = positions.removeValue(forKey: ExactString(key)) else { return }
    entries[position] = Entry(name, entries[position].value)
    positions[ExactString(name)] = position
  }
}

extension GGUFMetadata: Hashable {
  /// The same entries in the same order.
  public static func == (a: Self, b: Self) -> Bool { a.entries == b.entries }

  /// Hashes the entries.
  public func hash(into hasher: inout Hasher) { hasher.combine(entries) }

  /// Whether two files say the same, in whatever order.
  public func hasSameEntries(as other: GGUFMetadata) -> Bool {
    count == other.count && entries.allSatisfy { other[$0.key] == $0.value }
  }
}

extension GGUFMetadata: ExpressibleByDictionaryLiteral {
  /// Entries in the order of a literal.
  public init(dictionaryLiteral elements: (String, GGUFValue)...) {
    for (key, value) in elements { append(key, value) }
  }
}
