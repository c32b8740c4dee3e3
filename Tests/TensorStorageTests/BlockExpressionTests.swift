import PollardBase
import Testing

import TensorStorage

/// A matrix of numbers, moved as the weight beside it is.
private struct NaiveMatrix {
  var rows: [[Float]]
  var columns: Int

  func kept(_ indices: [Int], axis: Int) -> NaiveMatrix {
    axis == 0
      ? NaiveMatrix(rows: indices.map { rows[$0] }, columns: columns)
      : NaiveMatrix(rows: rows.map { row in indices.map { row[$0] } }, columns: indices.count)
  }

  func zeroed(_ positions: [Int], axis: Int) -> NaiveMatrix {
    var copy = self
    for row in rows.indices {
      for column in 0..<columns where positions.contains(axis == 0 ? row : column) { copy.rows[row][column] = 0 }
    }
    return copy
  }

  func joined(_ other: NaiveMatrix, axis: Int) -> NaiveMatrix {
    axis == 0
      ? NaiveMatrix(rows: rows + other.rows, columns: columns)
      : NaiveMatrix(rows: zip(rows, other.rows).map { $0 + $1 }, columns: columns + other.columns)
  }

  var transposed: NaiveMatrix {
    NaiveMatrix(rows: (0..<columns).map { column in rows.map { $0[column] } }, columns: rows.count)
  }
}

@Suite("Expressions over packed blocks")
struct BlockExpressionTests {
  /// Equal numbers; zeros of both signs are equal, since blocks of zero bytes stand for either.
  private func same(_ a: [Float], _ b: [Float]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
  }

  private func packedMatrix(
    _ format: BlockFormat, rows: Int, blocks: Int, _ random: inout SeededGenerator
  ) throws -> (Weight, NaiveMatrix) {
    let columns = blocks * format.elementsPerBlock
    let numbers = (0..<rows * columns).map { _ in Float.random(in: -2...2, using: &random) }
    let bytes = try Weight.floats(numbers, shape: [rows, columns]).quantized(to: format).bytes()
    let file = try temporaryFile(bytes)
    let weight = Weight.stored(file, byteOffset: 0, type: .u8, shape: [rows, blocks, format.bytesPerBlock])
      .dequantized(from: format)
    let values = try weight.floats()
    let matrix = (0..<rows).map { Array(values[$0 * columns..<($0 + 1) * columns]) }
    return (weight, NaiveMatrix(rows: matrix, columns: columns))
  }

  @Test("random cuts, zeros and joints give the numbers and the bytes of a naive evaluation", arguments: 0..<40)
  func random(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    let formats: [BlockFormat] = [.q4_0, .q8_0, .q5_1, .q4_k, .q6_k, .q2_k]
    let format = formats[seed % formats.count]
    let size = format.elementsPerBlock
    var (weight, naive) = try packedMatrix(format, rows: Int.random(in: 1...6, using: &random), blocks: 3, &random)
    for _ in 0..<Int.random(in: 1...5, using: &random) {
      let axis = Int.random(in: 0...1, using: &random)
      let extent = axis == 0 ? naive.rows.count : naive.columns
      let isWhole = axis == 1 && extent % size == 0 && Bool.random(using: &random)
      let units = isWhole ? extent / size : extent
      let chosen = (0..<units).filter { _ in Int.random(in: 0..<4, using: &random) > 0 }
      let indices = isWhole ? chosen.flatMap { $0 * size..<($0 + 1) * size } : chosen
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        weight = weight.keeping(indices, axis: axis)
        naive = naive.kept(indices, axis: axis)
      case 1:
        weight = weight.zeroing(indices, axis: axis)
        naive = naive.zeroed(indices, axis: axis)
      case 2:
        weight = .concatenated([weight, weight], axis: axis)
        naive = naive.joined(naive, axis: axis)
      case 3:
        weight = weight.transposed([1, 0]).keeping(indices, axis: 1 - axis).transposed([1, 0])
        naive = naive.transposed.kept(indices, axis: 1 - axis).transposed
      default:
        let order = indices.shuffled(using: &random)
        weight = weight.keeping(order, axis: axis)
        naive = naive.kept(order, axis: axis)
      }
    }
    let numbers = naive.rows.flatMap { $0 }
    #expect(weight.shape == [naive.rows.count, naive.columns])
    #expect(same(try weight.floats(), numbers), "seed \(seed)")
    guard naive.columns % size == 0 else { return }
    let packed = weight.quantized(to: format)
    let bytes = try packed.bytes()
    if packed.requantizes {
      let expected = Weight.floats(numbers, shape: [naive.rows.count, naive.columns]).quantized(to: format)
      // Zeros of either sign pack alike but for the sign of a minimum or scale of zero.
      let again = Weight.literal(bytes: bytes, type: .u8, shape: packed.shape).dequantized(from: format)
      #expect(same(try again.floats(), try expected.dequantized(from: format).floats()), "seed \(seed)")
    } else {
      let again = Weight.literal(bytes: bytes, type: .u8, shape: packed.shape).dequantized(from: format)
      #expect(same(try again.floats(), numbers), "seed \(seed)")
    }
  }

  @Test("whole rows and blocks come back as the bytes they were")
  func copies() throws {
    var random = SeededGenerator(seed: 77)
    let (weight, _) = try packedMatrix(.q4_k, rows: 5, blocks: 4, &random)
    let whole = try weight.quantized(to: .q4_k).bytes()
    let cut = weight.keeping([3, 1], axis: 0).keeping(Array(256..<512) + Array(768..<1024), axis: 1).quantized(
      to: .q4_k)
    #expect(!cut.requantizes)
    let row = 4 * 144
    var expected: [UInt8] = []
    for start in [3 * row + 144, 3 * row + 3 * 144, row + 144, row + 3 * 144] { expected += whole[start..<start + 144] }
    #expect(try cut.bytes() == expected)
    #expect(weight.keeping(Array(1..<257), axis: 1).quantized(to: .q4_k).requantizes)
  }

  @Test("chunks may end anywhere in a packed tensor", arguments: [16, 100, 143, 144, 145, 1000, 100_000])
  func chunkEdges(chunkBytes: Int) throws {
    var random = SeededGenerator(seed: 3)
    let numbers = (0..<9 * 512).map { _ in Float.random(in: -1...1, using: &random) }
    let packed = Weight.floats(numbers, shape: [9, 512]).quantized(to: .q4_k)
    let expected = try packed.bytes()
    let output = MemoryOutput(count: expected.count)
    try StreamingWriter.write([(packed, 0)], to: output, threads: ThreadPool(threadCount: 2), chunkBytes: chunkBytes)
    #expect(output.bytes == expected)
    var scratch = EvaluationScratch()
    for range in [0..<1, 1..<145, 143..<289, 700..<2000, 2591..<2592] {
      var part = [UInt8](repeating: 0, count: range.count)
      try part.withUnsafeMutableBytes { try packed.read(elements: range, into: $0, scratch: &scratch) }
      #expect(part == Array(expected[range]))
    }
  }

  @Test("tensors without elements pack and unpack to nothing")
  func empty() throws {
    for shape in [[0, 512], [3, 0]] as [Shape] {
      let packed = Weight.zeros(type: .f32, shape: shape).quantized(to: .q4_k)
      #expect(try packed.bytes().isEmpty)
      #expect(try packed.dequantized(from: .q4_k).floats().isEmpty)
      let error = try Weight.zeros(type: .f32, shape: shape).requantizationError(
        as: .q4_k, threads: ThreadPool(threadCount: 1))
      #expect(error == RequantizationError())
    }
  }
}
