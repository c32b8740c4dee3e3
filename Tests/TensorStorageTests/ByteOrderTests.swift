import PollardBase
import TensorStorage
import Testing

@Suite("Bytes in the other order")
struct ByteOrderTests {
  private let big = Weight.literal(
    bytes: [0x3F, 0x80, 0, 0, 0x40, 0, 0, 0, 0x40, 0x40, 0, 0, 0xC0, 0x80, 0, 0, 0, 0, 0, 0, 0x7F, 0x80, 0, 0],
    type: .f32, shape: [2, 3])

  /// The same elements, not folded while the expression is built.
  private func stored() throws -> Weight {
    let path = "/tmp/pollard-byte-order-\(UInt64.random(in: .min ... .max))"
    let file = try AtomicFile(path: path)
    try file.file.write(try big.bytes())
    try file.commit()
    defer { try? Directories.remove(path) }
    return .stored(try FileSource(path: path), byteOffset: 0, type: .f32, shape: [2, 3])
  }

  @Test("Elements are read in the other order, wherever they are cut")
  func values() throws {
    let expected: [Float] = [1, 2, 3, -4, 0, .infinity]
    #expect(try big.byteSwapped().floats() == expected)
    let stored = try stored()
    let swapped = stored.byteSwapped()
    #expect(try swapped.floats() == expected)
    #expect(try swapped.keeping([2, 0], axis: 1).floats() == [3, 1, .infinity, -4])
    #expect(try swapped.transposed().floats() == [1, -4, 2, 0, 3, .infinity])
    #expect(try swapped.reshaped([3, 2]).keeping([1], axis: 0).floats() == [3, -4])
    #expect(try swapped.zeroing([1], axis: 0).floats() == [1, 2, 3, 0, 0, 0])
    #expect(try swapped.cast(to: .f16).cast(to: .f32).floats() == expected)
  }

  @Test("What undoes itself disappears")
  func normalForm() throws {
    let stored = try stored()
    let swapped = stored.byteSwapped()
    #expect(swapped.byteSwapped() == stored)
    #expect(swapped.keeping([0], axis: 0).byteSwapped() == stored.keeping([0], axis: 0))
    #expect(swapped.transposed().byteSwapped() == stored.transposed())
    let halves = [swapped.keeping([0], axis: 0), swapped.keeping([1], axis: 0)]
    #expect(Weight.concatenated(halves, axis: 0) == swapped)
    #expect(swapped.sourceSlice == nil && swapped != stored)
    #expect(Weight.zeros(type: .f16, shape: [4]).byteSwapped() == .zeros(type: .f16, shape: [4]))
    let bytes = Weight.literal(bytes: [1, 2], type: .u8, shape: [2])
    #expect(bytes.byteSwapped() == bytes)
  }

  @Test(
    "Every width is reversed",
    arguments: [
      (ElementType.f16, [2, 1]), (.i32, [4, 3, 2, 1]), (.f64, [8, 7, 6, 5, 4, 3, 2, 1]),
      (.c128, [16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ] as [(ElementType, [UInt8])])
  func widths(type: ElementType, expected: [UInt8]) throws {
    let ascending = Array((1...UInt8(expected.count)))
    let weight = Weight.literal(bytes: ascending + ascending, type: type, shape: [2])
    #expect(try weight.byteSwapped().bytes() == expected + expected)
  }
}
