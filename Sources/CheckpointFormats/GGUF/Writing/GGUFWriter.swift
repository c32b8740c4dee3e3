import PollardBase
import TensorStorage

/// Writes GGUF files: metadata and tensors in the order given, tensors streamed from where they are.
///
///     let writer = try GGUFWriter(metadata: metadata, tensors: tensors, fileName: "model.gguf")
///     let directory = try AtomicDirectory(path: "output")
///     try writer.write(to: directory, threads: threads)
///     try directory.commit()
///
/// Everything is laid out before the first byte is written, so sizes are known. What other writers of the format choose
/// differently (version, byte order, alignment, padding of the end) is an option, so that their files come back byte for byte.
public struct GGUFWriter: Sendable {
  /// A tensor to be written.
  public struct Tensor: Sendable {
    /// The name; at most 63 bytes.
    public var name: String
    /// The type in the file.
    public let type: GGUFTensorType
    /// The extents, innermost first; at most four.
    public let extents: [Int]
    /// What evaluates to the stored elements, or to the bytes of packed blocks.
    public let weight: Weight

    /// A tensor of a shape, outermost extent first.
    ///
    /// - Parameter weight: the type's elements, or the bytes of its blocks (`u8`), as many as type and shape ask for.
    public init(name: String, type: GGUFTensorType, shape: Shape, weight: Weight) {
      self.init(name: name, type: type, extents: shape.extents.reversed(), weight: weight)
    }

    /// A tensor of extents as the file has them, innermost first.
    public init(name: String, type: GGUFTensorType, extents: [Int], weight: Weight) {
      precondition(extents.allSatisfy { $0 >= 0 }, "extents are never negative")
      precondition(weight.type == type.elementType ?? .u8, "the weight has the stored elements, or bytes of blocks")
      self.name = name
      self.type = type
      self.extents = extents
      self.weight = weight
    }
  }

  /// What may be chosen.
  public struct Options: Sendable, Hashable {
    /// To a multiple of how many bytes the data and each tensor begin: a power of two from 32 to 2^20. Nil keeps what the metadata
    /// say, or 32; less than 32, which makes loaders crash, becomes 32.
    public var alignment: Int?
    /// The order of the bytes of numbers. Version 3 only where it is not `little`.
    public var byteOrder = GGUFByteOrder.little
    /// The version of the format.
    public var version = 3
    /// Bytes of tensors in one file, above which another begins; nil for one file.
    public var maximumShardSize: Int?
    /// Whether a file without tensors comes first, where there is a largest size.
    public var isFirstShardEmpty = false
    /// Whether zeros follow the last tensor up to a multiple of the alignment, as loaders that read all data at once need.
    public var isEndPadded = true

    /// The defaults.
    public init() {}

    /// What a file was written with, to write it again in the same form.
    public init(of file: GGUFFile) {
      byteOrder = file.byteOrder
      version = file.version
      isEndPadded = file.isEndPadded
    }
  }

  /// A file to be written.
  public struct File: Sendable {
    /// The name.
    public let name: String
    /// The keys and values in it.
    public let metadata: GGUFMetadata
    /// The tensors in it.
    public let tensors: [Tensor]
    let layout: GGUFLayout

    /// The length in bytes.
    public var size: Int { layout.fileSize }
  }

  /// The files in the order of their numbers.
  public let files: [File]
  private let options: Options

  /// Plans a file, or several of at most a size.
  ///
  /// Tensors are cut into files as gguf-py cuts them: one that would make the current file too large begins the next.
  ///
  /// - Parameters:
  ///   - metadata: the keys and values; `split.` keys are set as the files need them.
  ///   - fileName: the name of a single file; `model.gguf` becomes `model-00001-of-00003.gguf` where there are several.
  /// - Throws: `ggufKeyEmpty`, `ggufAlignmentType`, `ggufAlignmentInvalid`, `ggufTensorNameTooLong`, `duplicateTensor`,
  ///   `ggufTooManyAxes`, `ggufRowNotWholeBlocks`, `shapeOverflow`, `ggufVersionUnsupported`, `ggufByteOrderUndefined`,
  ///   `ggufSplitCount` for more files than can be numbered.
  public init(
    metadata: GGUFMetadata, tensors: [Tensor], fileName: String, options: Options = Options()
  ) throws(FormatError) {
    var shards: [[Tensor]] = []
    var current: [Tensor] = []
    var size = 0
    for tensor in tensors {
      let (sum, overflow) = size.addingReportingOverflow(tensor.weight.byteCount)
      if let limit = options.maximumShardSize, !current.isEmpty, overflow || sum > limit {
        shards.append(current)
        current = []
        size = 0
      }
      current.append(tensor)
      size = size.addingReportingOverflow(tensor.weight.byteCount).partialValue
    }
    shards.append(current)
    if options.isFirstShardEmpty, options.maximumShardSize != nil { shards.insert([], at: 0) }
    try self.init(metadata: metadata, shards: shards, fileName: fileName, options: options)
  }

  /// Plans files whose tensors are assigned already, such as an input's own parts.
  public init(
    metadata: GGUFMetadata, shards: [[Tensor]], fileName: String, options: Options = Options()
  ) throws(FormatError) {
    precondition(!shards.isEmpty, "there is a file")
    let names = try Self.names(fileName, count: shards.count)
    try Self.check(options)
    let (alignment, aligned) = try Self.align(metadata, options)
    var files: [File] = []
    var seen: Set<ExactString> = []
    let total = shards.reduce(0) { $0 + $1.count }
    for (index, tensors) in shards.enumerated() {
      do throws(FormatError) {
        for tensor in tensors {
          try Self.check(tensor, options)
          guard seen.insert(ExactString(tensor.name)).inserted else {
            throw FormatError(.duplicateTensor, subject: .tensor(tensor.name))
          }
        }
        let metadata = Self.metadata(aligned, part: index, of: shards.count, tensorCount: total, alignment)
        let layout = try GGUFLayout(metadata: metadata, tensors: tensors, alignment: alignment, options: options)
        files.append(File(name: names[index], metadata: metadata, tensors: tensors, layout: layout))
      } catch { throw error.inFile(names[index]) }
    }
    self.files = files
    self.options = options
  }

  /// The bytes of all files together.
  public var totalSize: Int {
    files.reduce(0) { total, file in
      let (sum, overflow) = total.addingReportingOverflow(file.size)
      return overflow ? Int.max : sum
    }
  }

  /// Writes every file into a folder, which the caller commits.
  ///
  /// - Parameter progress: called with the bytes written so far and in all, from any thread.
  /// - Throws: `diskFull`, `cannotWrite`; what reading the tensors throws.
  /// - Complexity: memory is the header of a file and a few megabytes for each thread, whatever the size of the tensors.
  public func write(
    to directory: AtomicDirectory, threads: ThreadPool,
    progress: (@Sendable (_ bytesDone: Int, _ bytesInAll: Int) -> Void)? = nil
  ) throws(FormatError) {
    try requireFreeSpace(totalSize, at: directory.path)
    let total = totalSize
    var start = 0
    for file in files {
      let output = try directory.createFile(file.name)
      try output.preallocate(file.size)
      let done = start
      try write(file, to: output, threads: threads) { progress?(done + $0, total) }
      try output.finish()
      start += file.size
    }
  }

  /// Writes one of `files` to an empty output.
  public func write(
    _ file: File, to output: some PositionalOutput, threads: ThreadPool,
    progress: (@Sendable (_ bytesDone: Int) -> Void)? = nil
  ) throws(FormatError) {
    try output.write(file.layout.header, at: 0)
    var end = file.layout.header.count
    var items: [(weight: Weight, fileOffset: Int)] = []
    for (tensor, range) in zip(file.tensors, file.layout.byteRanges) {
      try output.writeZeros(end..<range.lowerBound)
      let weight = options.byteOrder == .little ? tensor.weight : tensor.bigEndianWeight
      items.append((weight, range.lowerBound))
      end = range.upperBound
    }
    try output.writeZeros(end..<file.size)
    let header = file.layout.header.count
    try StreamingWriter.write(items, names: file.tensors.map(\.name), to: output, threads: threads) {
      progress?(header + $0)
    }
  }
}

extension PositionalOutput {
  fileprivate func write(_ bytes: [UInt8], at offset: Int) throws(FormatError) {
    let result: Result<Void, FormatError> = bytes.withUnsafeBytes { buffer in
      do throws(FormatError) { return .success(try write(buffer, at: offset)) } catch { return .failure(error) }
    }
    try result.get()
  }

  fileprivate func writeZeros(_ range: Range<Int>) throws(FormatError) {
    if !range.isEmpty { try write([UInt8](repeating: 0, count: range.count), at: range.lowerBound) }
  }
}

extension GGUFWriter.Tensor {
  /// The stored bytes in big-endian order.
  fileprivate var bigEndianWeight: Weight {
    weight.reshaped(type.storedShape(Shape(extents.reversed()))).inOtherByteOrder(type)
  }
}
