import PollardBase
import TensorStorage

/// A GGUF file whose header has been read and checked; the tensors stay on disk.
///
///     let file = try GGUFFile(path: "model.gguf")
///     let architecture = try file.metadata.string("general.architecture")
///     for tensor in file.tensors { print(tensor.name, tensor.type, tensor.shape) }
public struct GGUFFile: Sendable {
  /// The file, open for reading.
  public let source: FileSource
  private let header: GGUFHeader
  private let positions: [ExactString: Int]

  /// Opens a file and checks its header.
  ///
  /// - Throws: `cannotOpen`, `notGGUF`, or the code of the rule that the header breaks, with the path.
  public init(path: String) throws(FormatError) { try self.init(FileSource(path: path)) }

  /// Checks the header of an open file.
  public init(_ source: FileSource) throws(FormatError) {
    self.source = source
    do throws(FormatError) {
      header = try GGUFHeader(fileSize: source.size) { range throws(FormatError) in try source.bytes(range) }
    } catch {
      throw (try recognizedOtherThanGGUF(source, failure: error) ?? error).inFile(source.path)
    }
    var positions: [ExactString: Int] = [:]
    positions.reserveCapacity(header.tensors.count)
    for (index, tensor) in header.tensors.enumerated() { positions[ExactString(tensor.name)] = index }
    self.positions = positions
  }

  /// The version of the format: 1, 2 or 3.
  public var version: Int { header.version }
  /// The order of the bytes of numbers.
  public var byteOrder: GGUFByteOrder { header.byteOrder }
  /// To a multiple of how many bytes the data and each tensor begin: `general.alignment`, or 32.
  public var alignment: Int { header.alignment }
  /// The keys and values.
  public var metadata: GGUFMetadata { header.metadata }
  /// The tensors in the order of the file.
  public var tensors: [GGUFTensor] { header.tensors }
  /// Where the tensors begin.
  public var dataStart: Int { header.dataStart }
  /// Whether zeros follow the last tensor, or the header of a file without tensors, up to a multiple of the alignment.
  public var isEndPadded: Bool { header.isEndPadded }

  /// The tensor of a name, compared byte by byte.
  public subscript(name: String) -> GGUFTensor? { positions[ExactString(name)].map { header.tensors[$0] } }

  /// A tensor of this file as a lazy weight in little-endian order.
  ///
  /// Plain types give `tensor.shape` in their element type; packed types bytes (`u8`) `[rows…, blocksPerRow, bytesPerBlock]`, which
  /// `dequantized(from:)` unpacks.
  ///
  /// - Precondition: the tensor is one of `tensors`.
  public func weight(_ tensor: GGUFTensor) -> Weight {
    let shape = tensor.storedShape
    let type = tensor.type.elementType ?? .u8
    let stored = Weight.stored(source, byteOffset: tensor.byteRange.lowerBound, type: type, shape: shape)
    return byteOrder == .little ? stored : stored.inOtherByteOrder(tensor.type)
  }
}

extension Weight {
  /// The stored bytes of a tensor in the other byte order, lazily.
  ///
  /// - Precondition: the order is defined for the type.
  func inOtherByteOrder(_ type: GGUFTensorType) -> Weight {
    switch type.kind {
    case .plain: return byteSwapped()
    case .packed(let format):
      guard let permutation = format.byteOrderPermutation else {
        preconditionFailure("types without a byte order are refused before")
      }
      return keeping(permutation, axis: shape.rank - 1)
    }
  }
}
