import PollardBase

/// Feeds any bytes to the safetensors reader, and what it accepts to the writer and back. Must never trap.
///
/// The entry point of fuzzers. Returns whether the bytes were a valid file.
@discardableResult
package func fuzzSafetensors(_ bytes: UnsafeRawBufferPointer) -> Bool {
  do throws(FormatError) {
    let header = try SafetensorsHeader(fileSize: bytes.count) { range throws(FormatError) in Array(bytes[range]) }
    for tensor in header.tensors {
      precondition(tensor.byteRange.upperBound <= bytes.count, "an accepted tensor lies inside the file")
      precondition(
        tensor.shape.byteCount(of: tensor.type) == tensor.byteRange.count, "an accepted range fits its shape")
      precondition(header.tensors[tensor.name] == tensor, "an accepted tensor is found by its name")
    }
    let layout = try SafetensorsLayout(header.tensors.map(\.declaration), metadata: header.metadata, order: .given)
    let again = try SafetensorsHeader(fileSize: layout.fileSize) { range throws(FormatError) in
      Array(layout.header[range.clamped(to: 0..<layout.header.count)])
    }
    precondition(again.tensors.elementsEqual(layout.tensors), "a written header reads back as it was")
    precondition(again.metadata == header.metadata, "written metadata reads back as it was")
    return true
  } catch {
    precondition(!error.description.isEmpty, "an error says what is wrong")
    return false
  }
}
