import PollardBase

/// Feeds any bytes to the ONNX reader, and what it accepts to the writer and back. Must never trap.
///
/// The entry point of fuzzers. Returns whether the bytes were a valid model.
@discardableResult
package func fuzzONNX(_ bytes: UnsafeRawBufferPointer) -> Bool {
  let input = Array(bytes)
  do throws(FormatError) {
    let model = try ONNXModel(decoding: ONNXBytes(input))
    let unchanged = try model.encoded()
    precondition(unchanged.count == input.count, "sizes are those of what is written")
    let copy = try unchanged.bytes()
    precondition(copy == input, "an unchanged model keeps its bytes")
    let canonical = try model.encoded(reuse: .payloads).bytes()
    let again = try ONNXModel(decoding: ONNXBytes(canonical))
    let written = try again.encoded(reuse: .payloads).bytes()
    precondition(written == canonical, "a written model reads back as it was")
    _ = try model.replacingTensors { tensor, _ throws(FormatError) in
      do throws(FormatError) {
        let form = try tensor.form()
        let bytes = try tensor.rawBytes()
        precondition(bytes.count == form.byteCount, "an accepted tensor has the bytes of its shape")
      } catch { precondition(!error.description.isEmpty, "an error says what is wrong") }
      return nil
    }
    try model.checkStructure()
    return true
  } catch {
    precondition(!error.description.isEmpty, "an error says what is wrong")
    return false
  }
}
