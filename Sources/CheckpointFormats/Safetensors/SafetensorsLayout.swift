import PollardBase
import TensorStorage

/// Where everything goes in a safetensors file that is to be written.
///
/// The layout holds the finished header; the tensors' bytes are supplied by the caller, in any order and from any thread:
///
///     let layout = try SafetensorsLayout(declarations, metadata: ["format": "pt"])
///     try output.preallocate(layout.fileSize)
///     try output.write(layout.header)
///     for tensor in layout.tensors { try output.write(bytes(of: tensor), at: tensor.byteRange.lowerBound) }
public struct SafetensorsLayout: Sendable {
  /// In which order tensors and metadata are laid out.
  public enum Order: Sendable {
    /// As the reference writer does: element types descending, then names ascending by bytes; metadata keys ascending.
    case reference
    /// As given.
    case given
  }

  /// The length field, the JSON text and its padding: the bytes before the first tensor.
  public let header: [UInt8]
  /// The tensors in the order of their bytes.
  public let tensors: [TensorRecord]
  /// For each of `tensors`, its position in the list the layout was made from.
  public let givenPositions: [Int]
  /// The length of the whole file in bytes.
  public let fileSize: Int

  /// Lays out a file.
  ///
  /// - Throws: `reservedName` for `__metadata__`, `duplicateTensor`, `misalignedSize`, `shapeOverflow` for more bytes than can
  ///   be counted, `headerTooLarge`.
  /// - Complexity: O(n log n).
  public init(
    _ declarations: [TensorDeclaration], metadata: SafetensorsMetadata?, order: Order = .reference
  ) throws(FormatError) {
    var names: Set<ExactString> = []
    var sizes: [Int] = []
    for declaration in declarations {
      guard !haveSameBytes(declaration.name, "__metadata__") else {
        throw FormatError(.reservedName, subject: .tensor(declaration.name))
      }
      guard names.insert(ExactString(declaration.name)).inserted else {
        throw FormatError(.duplicateTensor, subject: .tensor(declaration.name))
      }
      sizes.append(try Self.byteCount(declaration))
    }
    let positions = Self.positions(declarations, order: order)
    var text = Array("{".utf8)
    if let metadata { Self.append(order == .reference ? metadata.sorted : metadata, to: &text) }
    var ranges: [Range<Int>] = []
    var cursor = 0
    for position in positions {
      let (end, overflow) = cursor.addingReportingOverflow(sizes[position])
      guard !overflow else {
        throw FormatError(
          .shapeOverflow, subject: .tensor(declarations[position].name), expected: "less than 2^63 bytes")
      }
      if text.count > 1 { text.append(UInt8(ascii: ",")) }
      Self.append(declarations[position], cursor..<end, to: &text)
      ranges.append(cursor..<end)
      cursor = end
    }
    text.append(UInt8(ascii: "}"))
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
    guard text.count <= SafetensorsHeader.maximumLength else {
      throw FormatError(
        .headerTooLarge, expected: "at most \(SafetensorsHeader.maximumLength) bytes", found: "\(text.count) bytes",
        remedy: "split the checkpoint into shards")
    }
    let dataStart = 8 + text.count
    guard cursor <= Int.max - dataStart else { throw FormatError(.shapeOverflow, expected: "less than 2^63 bytes") }
    header = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) } + text
    givenPositions = positions
    fileSize = dataStart + cursor
    tensors = zip(positions, ranges).map { position, range in
      let declaration = declarations[position]
      return TensorRecord(
        name: declaration.name, type: declaration.type, shape: declaration.shape,
        byteRange: dataStart + range.lowerBound..<dataStart + range.upperBound)
    }
  }

  /// The bytes of all tensors together.
  public var dataSize: Int { fileSize - header.count }

  private static func byteCount(_ declaration: TensorDeclaration) throws(FormatError) -> Int {
    let described = "\(declaration.type)\(declaration.shape)"
    guard let checked = Shape(checking: declaration.shape.extents, of: declaration.type) else {
      throw FormatError(.shapeOverflow, subject: .tensor(declaration.name), found: described)
    }
    guard let bytes = checked.byteCount(of: declaration.type) else {
      throw FormatError(
        .misalignedSize, subject: .tensor(declaration.name), expected: "a multiple of 8 bits", found: described)
    }
    return bytes
  }

  private static func positions(_ declarations: [TensorDeclaration], order: Order) -> [Int] {
    guard order == .reference else { return Array(declarations.indices) }
    return declarations.indices.sorted { a, b in
      let (a, b) = (declarations[a], declarations[b])
      if a.type != b.type { return a.type.rawValue > b.type.rawValue }
      return precedesInByteOrder(a.name, b.name)
    }
  }

  private static func append(_ metadata: SafetensorsMetadata, to text: inout [UInt8]) {
    text.append(contentsOf: "\"__metadata__\":{".utf8)
    for (index, entry) in metadata.entries.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      appendJSONString(entry.key, style: .unicode, to: &text)
      text.append(UInt8(ascii: ":"))
      appendJSONString(entry.value, style: .unicode, to: &text)
    }
    text.append(UInt8(ascii: "}"))
  }

  private static func append(_ declaration: TensorDeclaration, _ range: Range<Int>, to text: inout [UInt8]) {
    appendJSONString(declaration.name, style: .unicode, to: &text)
    text.append(contentsOf: ":{\"dtype\":\"\(declaration.type.name)\",\"shape\":[".utf8)
    for (axis, extent) in declaration.shape.extents.enumerated() {
      if axis > 0 { text.append(UInt8(ascii: ",")) }
      text.append(contentsOf: String(extent).utf8)
    }
    text.append(contentsOf: "],\"data_offsets\":[\(range.lowerBound),\(range.upperBound)]}".utf8)
  }
}
