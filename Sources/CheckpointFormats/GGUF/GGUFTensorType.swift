import TensorStorage

/// The type of a tensor in a GGUF file, by GGML's number and name.
///
/// Either plain elements or blocks that several elements of a row are packed into.
public struct GGUFTensorType: Sendable, Hashable {
  /// How a type stores elements.
  public enum Kind: Sendable, Hashable {
    /// One element after the other.
    case plain(ElementType)
    /// Blocks of elements with scales of their own.
    case packed(BlockFormat)
  }

  /// How elements are stored.
  public let kind: Kind
  /// GGML's number of the type.
  public let id: UInt32

  /// Numbers of types that the format has given up, with the names they had.
  static let removed: [UInt32: String] = [
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
  ]

  private static let plainTypes: [(id: UInt32, type: ElementType)] = [
    (0, .f32), (1, .f16), (24, .i8), (25, .i16), (26, .i32), (27, .i64), (28, .f64), (30, .bf16),
  ]

  /// Every type, by ascending number.
  public static let all: [GGUFTensorType] =
    (plainTypes.map { GGUFTensorType(kind: .plain($0.type), id: $0.id) }
    + BlockFormat.allCases.map { GGUFTensorType($0) }).sorted { $0.id < $1.id }

  private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  private init(kind: Kind, id: UInt32) {
    self.kind = kind
    self.id = id
  }

  /// The type of packed blocks.
  public init(_ format: BlockFormat) {
    kind = .packed(format)
    id = UInt32(format.rawValue)
  }

  /// The type of plain elements, or nil when GGUF has none for them.
  public init?(_ type: ElementType) {
    guard let match = Self.plainTypes.first(where: { $0.type == type }) else { return nil }
    self.init(kind: .plain(type), id: match.id)
  }

  /// The type of a number, or nil when no type has it, any more or yet.
  public init?(id: UInt32) {
    guard let match = Self.byID[id] else { return nil }
    self = match
  }

  /// The type of a name such as `F32` or `Q4_K`, in any case.
  public init?(name: String) {
    guard let match = Self.byName[name.uppercased()] else { return nil }
    self = match
  }

  /// GGML's name of the type in capitals, such as `F32` or `Q4_K`.
  public var name: String {
    switch kind {
    case .plain(let type): type.name
    case .packed(let format): format.name
    }
  }

  /// The number of consecutive elements of a row that are stored together; 1 for plain types.
  public var elementsPerBlock: Int {
    switch kind {
    case .plain: 1
    case .packed(let format): format.elementsPerBlock
    }
  }

  /// The bytes that `elementsPerBlock` elements take.
  public var bytesPerBlock: Int {
    switch kind {
    case .plain(let type): type.bitCount / 8
    case .packed(let format): format.bytesPerBlock
    }
  }

  /// The format of packed blocks; nil for plain types.
  public var blockFormat: BlockFormat? {
    if case .packed(let format) = kind { format } else { nil }
  }

  /// The type of plain elements; nil for packed ones.
  public var elementType: ElementType? {
    if case .plain(let type) = kind { type } else { nil }
  }

  /// The bytes of a tensor with given extents, innermost first, or nil when they do not fit or rows are not whole blocks.
  ///
  /// Extents of 0 count as 1 for what must fit, so that no product of some of them overflows.
  func byteCount(extents: [Int]) -> Int? {
    let row = extents.first ?? 1
    guard row >= 0, row % elementsPerBlock == 0 else { return nil }
    var bytes = row / elementsPerBlock
    var bound = max(1, row)
    for extent in extents.dropFirst() {
      guard extent >= 0 else { return nil }
      let (product, overflow) = bound.multipliedReportingOverflow(by: max(1, extent))
      if overflow { return nil }
      bound = product
      bytes *= extent
    }
    // Bits of the elements and of the blocks must be countable; blocks take at most 64 bits for an element.
    if bound.multipliedReportingOverflow(by: 64).overflow { return nil }
    return bytes * bytesPerBlock
  }
}

extension GGUFTensorType: CustomStringConvertible {
  /// GGML's name of the type.
  public var description: String { name }
}
