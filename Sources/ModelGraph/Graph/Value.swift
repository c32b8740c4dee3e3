import TensorStorage

/// The number of a value within its graph.
public struct ValueID: Sendable, Hashable, Comparable {
  /// The index into `Graph.values`.
  public let index: Int

  package init(_ index: Int) { self.index = index }

  /// Values are ordered by their number.
  public static func < (a: Self, b: Self) -> Bool { a.index < b.index }
}

/// The element type and, when it is known, the shape of a value.
public struct ValueType: Sendable, Hashable, CustomStringConvertible {
  /// The type of the elements as the graph computes with them.
  public var element: ElementType
  /// The extent of each axis, or nil when not even the rank is known.
  public var shape: [Size]?

  /// Creates a type; a nil shape means that the rank is unknown.
  public init(_ element: ElementType, _ shape: [Size]?) {
    self.element = element
    self.shape = shape
  }

  /// As printed in a listing: `F32[batch, sequence, 768]`.
  public var description: String {
    guard let shape else { return "\(element)[?]" }
    return "\(element)[" + shape.map(\.description).joined(separator: ", ") + "]"
  }
}

/// One edge of a graph: the tensor that a node, an input or an initializer provides.
public struct Value: Sendable {
  /// The name, unique within the graph.
  public var name: String
  /// The declared or inferred type; nil before inference.
  public var type: ValueType?
  /// The constant content, for initializers.
  public var initializer: Weight?

  /// Creates a value.
  public init(name: String, type: ValueType? = nil, initializer: Weight? = nil) {
    self.name = name
    self.type = type
    self.initializer = initializer
  }
}
