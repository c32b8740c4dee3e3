import PollardBase
import TensorStorage

/// The arrays of a `.npy` file or a `.npz` archive.
///
/// Arrays that are plain bytes of the file stay there; compressed ones are unpacked into memory when the file is opened.
public struct NumPyFile: Sendable {
  /// The file, open for reading.
  public let source: FileSource
  /// The arrays by name, in the order of the file. That of a `.npy` file is called as the file is, without its ending.
  public let arrays: [(name: String, weight: Weight)]

  /// Most bytes of compressed arrays, all together: they are held in memory.
  private static let unpackedLimit = 4 << 30

  /// Opens a file.
  ///
  /// - Throws: `numpyMalformed`, `numpyUnsupported`, `wrongFormat`, and what `ZipArchive` throws, with the path.
  public init(path: String) throws(FormatError) { try self.init(FileSource(path: path)) }

  /// Reads an open file.
  public init(_ source: FileSource) throws(FormatError) {
    self.source = source
    do throws(FormatError) {
      let prefix = try source.bytes(0..<min(source.size, NumPyHeader.lengthLimit + 12))
      if NumPyHeader.recognizes(prefix) {
        var name = Paths.lastComponent(source.path)
        if name.hasSuffix(".npy") { name.removeLast(4) }
        arrays = [(name, try Self.stored(source, prefix, range: 0..<source.size, isWhole: true))]
      } else {
        arrays = try Self.members(ZipArchive(source))
      }
    } catch { throw error.inFile(source.path) }
  }

  /// Whether a file is an array, or an archive of nothing but arrays.
  package static func recognizes(_ source: FileSource) throws(FormatError) -> Bool {
    let prefix = try source.bytes(0..<min(source.size, 6))
    if NumPyHeader.recognizes(prefix) { return true }
    guard prefix.starts(with: [0x50, 0x4B]), let zip = try? ZipArchive(source) else { return false }
    return zip.entries.allSatisfy { $0.name.hasSuffix(".npy") }
  }

  private static func members(_ zip: ZipArchive) throws(FormatError) -> [(name: String, weight: Weight)] {
    var arrays: [(name: String, weight: Weight)] = []
    var room = unpackedLimit
    for entry in zip.entries {
      do throws(FormatError) {
        guard entry.name.hasSuffix(".npy") else {
          throw FormatError(.wrongFormat, expected: "an archive of .npy arrays", found: "another member")
        }
        let weight: Weight
        switch entry.method {
        case .stored:
          try zip.check(entry)
          let range = try zip.dataRange(of: entry)
          let end = min(range.upperBound, range.lowerBound + NumPyHeader.lengthLimit + 12)
          weight = try stored(zip.source, zip.source.bytes(range.lowerBound..<end), range: range, isWhole: false)
        case .deflated:
          let bytes = try zip.bytes(of: entry, limit: room)
          room -= bytes.count
          weight = try literal(bytes)
        }
        arrays.append((String(entry.name.dropLast(4)), weight))
      } catch {
        var error = error
        if error.subject == nil { error.subject = .key(entry.name) }
        throw error
      }
    }
    return arrays
  }

  /// An array that lies in the file as it is.
  private static func stored(
    _ source: FileSource, _ prefix: [UInt8], range: Range<Int>, isWhole: Bool
  ) throws(FormatError) -> Weight {
    let header = try NumPyHeader(prefix)
    try header.requireBytes(range.count)
    let shape = header.isFortranOrder ? Shape(header.shape.extents.reversed()) : header.shape
    let start = range.lowerBound + header.dataOffset
    return header.ordered(.stored(source, byteOffset: start, type: header.type, shape: shape))
  }

  private static func literal(_ bytes: [UInt8]) throws(FormatError) -> Weight {
    let header = try NumPyHeader(Array(bytes.prefix(NumPyHeader.lengthLimit + 12)))
    let count = try header.requireBytes(bytes.count)
    let shape = header.isFortranOrder ? Shape(header.shape.extents.reversed()) : header.shape
    let content = Array(bytes[header.dataOffset..<header.dataOffset + count])
    return header.ordered(.literal(bytes: content, type: header.type, shape: shape))
  }
}

extension NumPyHeader {
  /// The bytes of the elements, which must be there; NumPy reads arrays that something follows.
  @discardableResult
  fileprivate func requireBytes(_ available: Int) throws(FormatError) -> Int {
    guard let count = shape.byteCount(of: type), count <= available - dataOffset else {
      throw FormatError(
        .truncated, at: .byte(dataOffset), expected: "\(shape.byteCount(of: type) ?? 0) bytes for \(type)\(shape)",
        found: "\(max(0, available - dataOffset)) bytes")
    }
    return count
  }

  /// Elements in the array's own order, row-major and little-endian.
  fileprivate func ordered(_ weight: Weight) -> Weight {
    let swapped = isBigEndian ? weight.byteSwapped() : weight
    return isFortranOrder ? swapped.transposed(Array(shape.extents.indices.reversed())) : swapped
  }
}
