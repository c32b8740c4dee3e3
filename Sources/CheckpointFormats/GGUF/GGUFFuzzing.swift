import PollardBase
import TensorStorage

/// Feeds any bytes to the GGUF reader, and what it accepts to the writer and back. Must never trap.
///
/// The entry point of fuzzers. Returns whether the bytes were a valid file.
@discardableResult
package func fuzzGGUF(_ bytes: UnsafeRawBufferPointer) -> Bool {
  do throws(FormatError) {
    let header = try GGUFHeader(fileSize: bytes.count) { range throws(FormatError) in Array(bytes[range]) }
    for tensor in header.tensors {
      precondition(tensor.byteRange.upperBound <= bytes.count, "an accepted tensor lies inside the file")
      precondition(
        tensor.storedShape.byteCount(of: tensor.type.elementType ?? .u8) == tensor.byteRange.count,
        "an accepted range fits its shape")
    }
    for entry in header.metadata.entries {
      precondition(header.metadata[entry.key] == entry.value, "an accepted key is found by its name")
      guard let array = entry.value.array else { continue }
      precondition((array.strings?.count ?? array.count) == array.count, "an array has its elements")
      if array.count > 0 { precondition(array[array.count - 1].type == array.elementType, "an element has its type") }
    }
    var options = GGUFWriter.Options()
    options.version = header.version
    options.byteOrder = header.byteOrder
    options.isEndPadded = header.isEndPadded
    let tensors = header.tensors.map { tensor in
      let zeros = Weight.zeros(type: tensor.type.elementType ?? .u8, shape: tensor.storedShape)
      return GGUFWriter.Tensor(name: tensor.name, type: tensor.type, extents: tensor.extents, weight: zeros)
    }
    let layout = try GGUFLayout(
      metadata: header.metadata, tensors: tensors, alignment: header.alignment, options: options)
    precondition(layout.fileSize <= bytes.count, "a written file is no longer than the one read")
    let written = layout.header
    let again = try GGUFHeader(fileSize: layout.fileSize) { range throws(FormatError) in
      Array(written[range.clamped(to: 0..<written.count)])
    }
    precondition(again.metadata == header.metadata, "written metadata read back as they were")
    precondition(again.tensors == header.tensors, "written tensors read back as they were")
    return true
  } catch {
    precondition(!error.description.isEmpty, "an error says what is wrong")
    return false
  }
}
