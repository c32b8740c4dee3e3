import PollardBase
import TensorStorage

/// Where everything goes in a GGUF file that is to be written.
struct GGUFLayout: Sendable {
  /// The bytes before the tensors, padding included.
  let header: [UInt8]
  /// Where each tensor's bytes go, in the order given.
  let byteRanges: [Range<Int>]
  /// The length of the whole file.
  let fileSize: Int

  /// Lays out a file.
  ///
  /// - Throws: `ggufKeyEmpty`, `ggufTensorNameTooLong`, `duplicateTensor`, `ggufTooManyAxes`, `ggufRowNotWholeBlocks`, `shapeOverflow`.
  init(
    metadata: GGUFMetadata, tensors: [GGUFWriter.Tensor], alignment: Int, options: GGUFWriter.Options
  ) throws(FormatError) {
    var encoder = GGUFEncoder(version: options.version, byteOrder: options.byteOrder)
    encoder.append(count: tensors.count)
    encoder.append(count: metadata.count)
    for entry in metadata.entries {
      if entry.key.isEmpty { throw FormatError(.ggufKeyEmpty) }
      encoder.append(entry)
    }
    var offsets: [(offset: Int, byteCount: Int)] = []
    var next = 0
    var names: Set<ExactString> = []
    for tensor in tensors {
      do throws(FormatError) {
        let byteCount = try Self.check(tensor, &names)
        encoder.append(tensor.name.utf8)
        encoder.append(UInt32(tensor.extents.count))
        for extent in tensor.extents { encoder.append(count: extent) }
        encoder.append(tensor.type.id)
        encoder.append(UInt64(next))
        offsets.append((next, byteCount))
        let (end, overflow) = next.addingReportingOverflow(byteCount)
        guard !overflow, let start = padded(end, to: alignment) else {
          throw FormatError(.shapeOverflow, expected: "less than 2^63 bytes in the file")
        }
        next = start
      } catch {
        var named = error
        if named.subject == nil { named.subject = .tensor(tensor.name) }
        throw named
      }
    }
    let start = padded(encoder.bytes.count, to: alignment) ?? Int.max
    guard !start.addingReportingOverflow(next).overflow else {
      throw FormatError(.shapeOverflow, expected: "less than 2^63 bytes in the file")
    }
    if !tensors.isEmpty || options.isEndPadded { encoder.pad(to: start) }
    header = encoder.bytes
    byteRanges = offsets.map { start + $0.offset..<start + $0.offset + $0.byteCount }
    fileSize = tensors.isEmpty ? header.count : options.isEndPadded ? start + next : byteRanges.last?.upperBound ?? 0
  }

  private static func check(_ tensor: GGUFWriter.Tensor, _ names: inout Set<ExactString>) throws(FormatError) -> Int {
    guard tensor.name.utf8.count <= GGUFHeader.maximumTensorNameLength else {
      throw FormatError(
        .ggufTensorNameTooLong, expected: "at most \(GGUFHeader.maximumTensorNameLength) bytes",
        found: "\(tensor.name.utf8.count) bytes")
    }
    guard names.insert(ExactString(tensor.name)).inserted else { throw FormatError(.duplicateTensor) }
    guard tensor.extents.count <= GGUFHeader.maximumRank else {
      throw FormatError(
        .ggufTooManyAxes, expected: "at most \(GGUFHeader.maximumRank)", found: "\(tensor.extents.count)")
    }
    return try GGUFHeader.byteCount(of: tensor.type, extents: tensor.extents)
  }
}
