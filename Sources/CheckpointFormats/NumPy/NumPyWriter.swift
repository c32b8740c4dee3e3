import PollardBase
import TensorStorage

/// Writes arrays as NumPy does: `.npy` headers of version 1.0, and `.npz` archives, stored or compressed.
public enum NumPyWriter {
  /// The bytes of a header, which `numpy.save` gives for the same array.
  ///
  /// - Throws: `numpyUnsupported` for element types that NumPy has no name for, such as bfloat16.
  package static func header(type: ElementType, shape: Shape) throws(FormatError) -> [UInt8] {
    guard let code = NumPyHeader.codes.first(where: { $0.type == type })?.code else {
      throw FormatError(
        .numpyUnsupported, expected: "a type that NumPy has", found: "\(type)", remedy: "write safetensors")
    }
    let order = type.byteCount == 1 ? "|" : "<"
    let extents = shape.extents.map(String.init).joined(separator: ", ") + (shape.rank == 1 ? "," : "")
    var text = "{'descr': '\(order)\(code)', 'fortran_order': False, 'shape': (\(extents)), }"
    // Room for the first extent to grow to 21 digits without moving the data.
    if let first = shape.extents.first { text += String(repeating: " ", count: max(0, 21 - "\(first)".utf8.count)) }
    // NumPy fills up to a multiple of 64, with 64 blanks where there is nothing to fill.
    let length = ((10 + text.utf8.count + 1) / 64 + 1) * 64 - 10
    guard length <= Int(UInt16.max) else {
      throw FormatError(.numpyUnsupported, expected: "fewer axes", found: "\(shape.rank)")
    }
    text += String(repeating: " ", count: length - text.utf8.count - 1) + "\n"
    let prefix: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
    return prefix + Array(text.utf8)
  }

  /// Writes an archive; each array is in memory while it is written.
  ///
  /// - Throws: `duplicateTensor`, `numpyUnsupported`, and what reading and writing throws.
  public static func writeArchive(
    _ arrays: [(name: String, weight: Weight)], to output: OutputFile, compressed: Bool = false
  ) throws(FormatError) {
    var writer = ZipWriter(output)
    var names: Set<ExactString> = []
    for (name, weight) in arrays {
      guard names.insert(ExactString(name)).inserted else {
        throw FormatError(.duplicateTensor, subject: .tensor(name))
      }
      do throws(FormatError) {
        let bytes = try header(type: weight.type, shape: weight.shape) + weight.bytes()
        try writer.add(name + ".npy", bytes, compressed: compressed)
      } catch {
        var error = error
        if error.subject == nil { error.subject = .tensor(name) }
        throw error
      }
    }
    try writer.finish()
  }
}
