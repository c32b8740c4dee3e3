import PollardBase

/// The `__metadata__` of a safetensors file: strings by name, in the order of the file.
public struct SafetensorsMetadata: Sendable {
  /// Keys with their values.
  public private(set) var entries: [(key: String, value: String)] = []

  /// Metadata without entries, which is written as `{}`; no metadata at all is a nil.
  public init() {}

  /// The value of a key. Setting replaces in place or appends; setting nil removes.
  ///
  /// - Complexity: O(n).
  public subscript(key: String) -> String? {
    get { position(of: key).map { entries[$0].value } }
    set {
      switch (position(of: key), newValue) {
      case (let position?, let value?): entries[position].value = value
      case (let position?, nil): entries.remove(at: position)
      case (nil, let value?): entries.append((key, value))
      case (nil, nil): break
      }
    }
  }

  /// The entries with keys in ascending byte order.
  public var sorted: SafetensorsMetadata {
    var copy = self
    copy.entries.sort { precedesInByteOrder($0.key, $1.key) }
    return copy
  }

  /// Metadata of entries; of equal keys the last counts, at the place of the first.
  package init(lastOfEqualKeys list: [(key: String, value: String)]) {
    var positions: [ExactString: Int] = [:]
    for (key, value) in list {
      if let position = positions[ExactString(key)] {
        entries[position].value = value
      } else {
        positions[ExactString(key)] = entries.count
        entries.append((key, value))
      }
    }
  }

  private func position(of key: String) -> Int? { entries.firstIndex { haveSameBytes($0.key, key) } }
}

extension SafetensorsMetadata: Equatable, ExpressibleByDictionaryLiteral {
  /// Equal entries in the same order.
  public static func == (a: Self, b: Self) -> Bool {
    a.entries.count == b.entries.count
      && zip(a.entries, b.entries).allSatisfy { haveSameBytes($0.key, $1.key) && haveSameBytes($0.value, $1.value) }
  }

  /// Metadata in the order of a literal.
  public init(dictionaryLiteral elements: (String, String)...) {
    self.init(lastOfEqualKeys: elements.map { (key: $0.0, value: $0.1) })
  }
}
