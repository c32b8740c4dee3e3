import PollardBase
import TensorStorage

/// Which rows and summed positions of a matrix of few bits are zero: every number equal to its zero point, or of scale zero.
///
/// Source: ONNX Runtime, com.microsoft.MatMulNBits-1: `[N, blocks, bytes]`, lowest bits first, the zero point 2^(bits - 1) when left out.
struct BlockZeros: Sendable {
  /// For each row whether every number at an active position is zero.
  var rowZero: [Bool]
  /// For each summed position whether the numbers of all rows are zero.
  var positionZero: [Bool]

  /// Streams the matrix in blocks of rows; nil for a layout that is not described or not to be read.
  init?(_ context: ZeroContext, activation: [ElementState]) throws(FormatError) {
    let node = context.node
    let bits = node.integer("bits", default: 4)
    let block = node.integer("block_size", default: 0)
    guard context.readsWeights, [2, 4, 8].contains(bits), (1...MatMulNBits.longestBlock).contains(block),
      node.input(4) == nil, node.integer("weight_prepacked", default: 0) == 0, let matrix = context.weight(1),
      let scales = context.weight(2), matrix.shape.rank == 3, matrix.type == .u8, scales.type.canBeCast(to: .f32)
    else { return nil }
    let rows = matrix.shape[0]
    let blocks = matrix.shape[1]
    let bytes = matrix.shape[2]
    guard rows > 0, blocks > 0, bytes <= MatMulNBits.longestBlock, bytes * 8 == block * bits,
      blocks >= activation.count / block + (activation.count % block == 0 ? 0 : 1),
      scales.shape.elementCount == rows * blocks
    else { return nil }
    // Zero points: one byte string for each row, or numbers of the type of the scales.
    var packed: [UInt8]?
    var numbers: [Float]?
    let rowBytes = (blocks * bits + 7) / 8
    if node.input(3) != nil {
      guard let points = context.weight(3) else { return nil }
      if points.type == .u8, points.shape.elementCount == rows * rowBytes {
        packed = try points.bytes()
      } else if points.type == scales.type, points.shape.elementCount == rows * blocks {
        numbers = try points.cast(to: .f32).floats()
      } else {
        return nil
      }
    }
    let factors = try scales.cast(to: .f32).floats()
    guard factors.allSatisfy(\.isFinite) else { return nil }
    rowZero = Array(repeating: true, count: rows)
    positionZero = Array(repeating: true, count: activation.count)
    let perByte = 8 / bits
    let mask = UInt8(truncatingIfNeeded: (1 << bits) - 1)
    let step = max(1, (1 << 22) / max(1, blocks * bytes))
    var first = 0
    while first < rows {
      let end = min(rows, first + step)
      let content = try matrix.keeping(Array(first..<end), axis: 0).bytes()
      for row in first..<end {
        for index in 0..<blocks where factors[row * blocks + index] != 0 {
          var point = Float(1 << (bits - 1))
          if let packed {
            point = Float(packed[row * rowBytes + index / perByte] >> UInt8(index % perByte * bits) & mask)
          } else if let numbers {
            point = numbers[row * blocks + index]
          }
          let start = ((row - first) * blocks + index) * bytes
          for place in 0..<block where index * block + place < activation.count {
            let number = content[start + place / perByte] >> UInt8(place % perByte * bits) & mask
            if Float(number) == point { continue }
            positionZero[index * block + place] = false
            if activation[index * block + place] != .zero { rowZero[row] = false }
          }
        }
      }
      first = end
    }
  }
}
