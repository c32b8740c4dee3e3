import PollardBase

/// A part of one stored tensor, byte for byte: indices kept along axes, and nothing computed.
public struct SourceSlice: Sendable {
  /// The file that holds the tensor.
  public let file: FileSource
  /// Where the stored tensor begins, in bytes from the start of the file.
  public let byteOffset: Int
  /// The type of the stored elements.
  public let type: ElementType
  /// The extents of the whole stored tensor.
  public let shape: Shape
  /// For each axis the indices kept, in order, or nil for all.
  public let kept: [[Int]?]

  /// Whether the slice is the whole stored tensor.
  public var isWhole: Bool { kept.allSatisfy { $0 == nil } }
}

/// What a weight is made of; equal for equal normal forms over the same bytes of the same file.
public struct StructuralIdentity: Sendable, Hashable {
  private let weight: Weight

  init(_ weight: Weight) { self.weight = weight }
}

extension Weight {
  /// The slice of one stored tensor that this weight is, or nil when anything is computed, reordered or reshaped.
  public var sourceSlice: SourceSlice? {
    guard case .stored(let tensor, let kept) = expression else { return nil }
    return SourceSlice(
      file: tensor.file, byteOffset: tensor.byteOffset, type: tensor.type, shape: tensor.shape,
      kept: kept.map { $0?.indices })
  }

  /// A key that is equal for weights with equal normal forms over the same bytes: tied weights are recognised by it.
  public var structuralIdentity: StructuralIdentity { StructuralIdentity(self) }
}
