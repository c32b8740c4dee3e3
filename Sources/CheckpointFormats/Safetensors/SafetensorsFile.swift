import PollardBase
import TensorStorage

/// A safetensors file whose header has been read and checked; the tensors stay on disk.
///
///     let file = try SafetensorsFile(path: "model.safetensors")
///     for tensor in file.tensors { print(tensor.name, tensor.type, tensor.shape, tensor.byteRange) }
///     let embedding = file["wte.weight"]
public struct SafetensorsFile: Sendable {
  /// The file, open for reading.
  public let source: FileSource
  /// The header.
  public let header: SafetensorsHeader

  /// Opens a file and checks its header.
  ///
  /// - Throws: `cannotOpen`, or one of the codes of `SafetensorsHeader`, with the path.
  public init(path: String) throws(FormatError) { try self.init(FileSource(path: path)) }

  /// Checks the header of an open file.
  public init(_ source: FileSource) throws(FormatError) {
    self.source = source
    do throws(FormatError) {
      header = try SafetensorsHeader(fileSize: source.size) { range throws(FormatError) in try source.bytes(range) }
    } catch { throw error.inFile(source.path) }
  }

  /// The tensors in the order of their bytes.
  public var tensors: SafetensorsTable { header.tensors }

  /// The strings under `__metadata__`; nil when there are none.
  public var metadata: SafetensorsMetadata? { header.metadata }

  /// The tensor of a name.
  public subscript(name: String) -> TensorRecord? { header.tensors[name] }
}

extension SafetensorsFile {
  /// A tensor of this file as a lazy weight.
  ///
  /// - Precondition: the record is one of `tensors`.
  public func weight(_ tensor: TensorRecord) -> Weight {
    .stored(source, byteOffset: tensor.byteRange.lowerBound, type: tensor.type, shape: tensor.shape)
  }
}
