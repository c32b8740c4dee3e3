import PollardBase

/// A tensor that is not in memory: bytes of a file, and what is to be done to them when they are wanted.
public struct Weight: Sendable {
  /// The type of the elements that evaluation gives.
  public let type: ElementType
  /// The extents that evaluation gives.
  public let shape: Shape

  package init(type: ElementType, shape: Shape) { self.type = type; self.shape = shape }
}
