import TensorStorage

/// Matrices packed by hand in two formats, with scales that are the same everywhere, so that zero is a number of both.
enum PackedMatrix {
  /// A matrix `[inputs, outputs]` of the graph, stored as packed rows `[outputs, inputs]`.
  static func weight(_ values: [Float], rows: Int, columns: Int, _ format: BlockFormat) -> Weight {
    let size = format.elementsPerBlock
    precondition(rows % size == 0, "\(rows) inputs fill blocks of \(size)")
    var bytes: [UInt8] = []
    for column in 0..<columns {
      for start in stride(from: 0, to: rows, by: size) {
        bytes += block((start..<start + size).map { values[$0 * columns + column] }, format)
      }
    }
    let shape = Shape([columns, rows / size, format.bytesPerBlock])
    return Weight.literal(bytes: bytes, type: .u8, shape: shape).dequantized(from: format).transposed([1, 0])
  }

  private static func block(_ values: [Float], _ format: BlockFormat) -> [UInt8] {
    switch format {
    case .q8_0:
      // The scale 1/128, then whole numbers.
      return [0x00, 0x20] + values.map { UInt8(bitPattern: Int8($0 * 127)) }
    case .q4_k:
      // Numbers are n/8 − 1 with n from 0 to 15: scale 1/64, minimum 1/8, and 8 for each of the eight scales and minima.
      var bytes: [UInt8] = [0x00, 0x24, 0x00, 0x30] + Array(repeating: 8, count: 8) + Array(repeating: 0x88, count: 4)
      func nibble(_ index: Int) -> UInt8 { UInt8(min(15, max(0, (values[index] * 8).rounded() + 8))) }
      for pair in 0..<4 {
        for place in 0..<32 { bytes.append(nibble(pair * 64 + place) | nibble(pair * 64 + 32 + place) << 4) }
      }
      return bytes
    default: preconditionFailure("packed by hand in Q8_0 and Q4_K only")
    }
  }
}
