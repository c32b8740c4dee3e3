import PollardBase
import TensorStorage
import Testing

@Suite("Parts of packed blocks")
struct KeptBlockTests {
  /// Rows of 128 numbers in Q8_0, scale 1: the number is the byte.
  private func matrix(_ rows: Int) -> (weight: Weight, values: [Float]) {
    var bytes: [UInt8] = []
    var values: [Float] = []
    for block in 0..<rows * 4 {
      bytes += [0x00, 0x3C]
      for place in 0..<32 {
        let value = Int8(truncatingIfNeeded: block &* 37 &+ place &* 11)
        bytes.append(UInt8(bitPattern: value))
        values.append(Float(value))
      }
    }
    return (Weight.literal(bytes: bytes, type: .u8, shape: [rows, 4, 34]).dequantized(from: .q8_0), values)
  }

  @Test(
    "Any positions of a row, in any order, are the numbers at their places",
    arguments: [
      [5], [0, 1, 2, 127], Array(30..<34), Array(stride(from: 1, to: 128, by: 2)), [100, 3, 64, 63, 3 + 32],
    ])
  func positions(kept: [Int]) throws {
    let (weight, values) = matrix(5)
    let expected = (0..<5).flatMap { row in kept.map { values[row * 128 + $0] } }
    let cut = weight.keeping(kept, axis: 1)
    #expect(try cut.floats() == expected)
    #expect(try cut.transposed([1, 0]).transposed([1, 0]).floats() == expected)
    let rows = cut.keeping([1, 3, 4], axis: 0)
    #expect(try rows.floats() == [1, 3, 4].flatMap { row in expected[row * kept.count..<(row + 1) * kept.count] })
    var part = [Float](repeating: .nan, count: kept.count)
    var scratch = EvaluationScratch()
    try part.withUnsafeMutableBufferPointer {
      try cut.readFloats(elements: kept.count..<2 * kept.count, into: $0, scratch: &scratch)
    }
    #expect(part == Array(expected[kept.count..<2 * kept.count]))
  }

  @Test("Positions that are cut twice and come out as whole blocks are bytes again")
  func composed() throws {
    let (weight, values) = matrix(3)
    let most = weight.keeping(Array(16..<128), axis: 1)
    let block = most.keeping(Array(16..<48), axis: 1)
    #expect(block == weight.keeping(Array(32..<64), axis: 1))
    #expect(!block.quantized(to: .q8_0).requantizes)
    #expect(try block.floats() == (0..<3).flatMap { row in values[row * 128 + 32..<row * 128 + 64] })
    #expect(most.keeping([0, 1], axis: 1) == weight.keeping([16, 17], axis: 1))
  }
}
