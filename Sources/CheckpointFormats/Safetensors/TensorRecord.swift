import PollardBase
import TensorStorage

/// A tensor that is to be written: its name, element type and shape.
public struct TensorDeclaration: Sendable, Hashable {
  /// The name.
  public let name: String
  /// The element type.
  public let type: ElementType
  /// The extents.
  public let shape: Shape

  /// Declares a tensor.
  public init(name: String, type: ElementType, shape: Shape) {
    self.name = name
    self.type = type
    self.shape = shape
  }
}

/// A tensor of a file: its name, element type, shape, and the bytes of the file that hold it.
public struct TensorRecord: Sendable, Hashable {
  /// The name.
  public let name: String
  /// The element type.
  public let type: ElementType
  /// The extents.
  public let shape: Shape
  /// The tensor's bytes, counted from the start of the file; as many as type and shape ask for.
  public let byteRange: Range<Int>

  package init(name: String, type: ElementType, shape: Shape, byteRange: Range<Int>) {
    self.name = name
    self.type = type
    self.shape = shape
    self.byteRange = byteRange
  }

  /// What it takes to write a tensor like this one.
  public var declaration: TensorDeclaration { TensorDeclaration(name: name, type: type, shape: shape) }
}
