import PollardBase

/// A tensor that is not in memory: bytes of a file, and what is to be done to them when they are wanted.
public struct Weight: Sendable {
  /// The type of the elements that evaluation gives.
  public let type: ElementType
  /// The extents that evaluation gives.
  public let shape: Shape

  package init(type: ElementType, shape: Shape) { self.type = type; self.shape = shape }
  public static func integers(_ v: [Int64], shape: Shape) -> Weight { Weight(type: .i64, shape: shape) }
  public static func floats(_ v: [Float], shape: Shape) -> Weight { Weight(type: .f32, shape: shape) }
}
// stubs
extension Weight {
  public func bytes() throws(FormatError) -> [UInt8] { [] }
  public func floats() throws(FormatError) -> [Float] { [] }
  public func cast(to: ElementType) -> Weight { self }
  public struct MatrixStructure: Sendable { public var rowNonzero: [Bool], columnNonzero: [Bool], rowNonfinite: [Bool], columnNonfinite: [Bool] }
  public func nonzeroStructure(activeRows: [Bool]?, pool: ThreadPool) throws(FormatError) -> MatrixStructure { fatalError() }
}

extension Weight {
  public static func stored(_ file: FileSource, byteOffset: Int, type: ElementType, shape: Shape) -> Weight { Weight(type: type, shape: shape) }
  public func keeping(_ indices: [Int], axis: Int) -> Weight { self }
  public func transposed(_ p: [Int]) -> Weight { self }
  public func transposed() -> Weight { self }
  public func zeroing(_ positions: [Int], axis: Int) -> Weight { self }
  public func reshaped(_ shape: Shape) -> Weight { self }
}
