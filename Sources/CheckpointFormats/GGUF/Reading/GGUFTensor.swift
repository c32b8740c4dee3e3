import TensorStorage

/// A tensor of a GGUF file: what it is called, what it holds, and where its bytes are.
public struct GGUFTensor: Sendable, Hashable {
  /// The name.
  public let name: String
  /// The type.
  public let type: GGUFTensorType
  /// The extents as the file has them: the axis whose elements are neighbours first.
  public let extents: [Int]
  /// The bytes, from the start of the file.
  public let byteRange: Range<Int>
  /// The position of its file in a split set; 0 in a single file.
  public internal(set) var fileIndex = 0

  /// The extents outermost first, as PyTorch and NumPy give them.
  public var shape: Shape { Shape(extents.reversed()) }

  /// The shape of the weight that `GGUFFile.weight(_:)` gives: `shape` for plain types, `[rows…, blocksPerRow, bytesPerBlock]` for
  /// packed ones.
  public var storedShape: Shape { type.storedShape(shape) }
}

extension GGUFTensorType {
  /// The shape of the bytes, or elements, that a tensor of this type is stored as.
  ///
  /// - Precondition: rows are whole blocks.
  public func storedShape(_ shape: Shape) -> Shape {
    guard let blockFormat else { return shape }
    let row = shape.extents.last ?? 1
    precondition(row % blockFormat.elementsPerBlock == 0, "rows are whole blocks")
    return Shape(shape.extents.dropLast() + [row / blockFormat.elementsPerBlock, blockFormat.bytesPerBlock])
  }
}
