import Foundation
import PollardBase
import TensorStorage
import Testing

@Suite("Reading kept parts of stored tensors")
struct StoredReadingTests {
  private static let byteCount = 6 << 20
  private static let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }

  /// Lists of indices with neighbours, small gaps, gaps of many pages, and out of order.
  private func indices(_ extent: Int, _ kind: Int, _ generator: inout SeededGenerator) -> [Int] {
    switch kind {
    case 0: return Array(0..<extent)
    case 1: return (0..<extent).filter { _ in Int.random(in: 0..<3, using: &generator) > 0 }
    case 2: return (0..<min(extent, 9)).map { _ in Int.random(in: 0..<extent, using: &generator) }.sorted()
    case 3: return (0..<extent).filter { ($0 * 8 / max(8, extent)) % 3 == 1 }
    case 4: return (0..<min(extent, 50)).map { _ in Int.random(in: 0..<extent, using: &generator) }
    default: return (0..<extent).filter { $0 / 16 % 4 == 2 }
    }
  }

  @Test(
    "Rows and columns kept in any pattern are the bytes at their places",
    arguments: [
      ([6, 1 << 18], ElementType.f32), ([600, 2500], .bf16), ([600, 1200], .f64), ([20_000, 30], .u8),
      ([3, 700, 700], .bf16), ([300, 40, 16], .f32), ([1_500_000], .u8), ([300_000], .f32),
    ])
  func readsPatterns(extents: [Int], type: ElementType) throws {
    let size = type.bitCount / 8
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let file = try temporaryFile(Self.bytes)
    for kind in 0..<6 {
      let offset = Int.random(in: 0...(Self.byteCount - extents.reduce(size, *)), using: &generator)
      var weight = Weight.stored(file, byteOffset: offset, type: type, shape: Shape(extents))
      var lists = extents.map { Array(0..<$0) }
      for axis in extents.indices {
        let kindHere = axis == extents.count - 1 ? kind : Int.random(in: 0..<6, using: &generator)
        lists[axis] = indices(extents[axis], kindHere, &generator)
        weight = weight.keeping(lists[axis], axis: axis)
      }
      // The innermost axis as a list of offsets, the outer ones as starts of rows.
      var starts = [offset]
      var stride = extents.reduce(size, *)
      for axis in extents.indices.dropLast() {
        stride /= extents[axis]
        starts = starts.flatMap { start in lists[axis].map { start + $0 * stride } }
      }
      var expected: [UInt8] = []
      expected.reserveCapacity(weight.byteCount)
      for start in starts {
        for index in lists[extents.count - 1] {
          let place = start + index * size
          for byte in place..<place + size { expected.append(Self.bytes[byte]) }
        }
      }
      let found = try weight.bytes()
      let first = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      #expect(
        found.count == expected.count && first == nil, "seed \(seed) kind \(kind), byte \(first ?? -1), \(weight)")
    }
  }

  @Test("A file that became shorter gives an error that names it")
  func shortenedFile() throws {
    let path = NSTemporaryDirectory() + "/pollard-shortened-\(UUID().uuidString)"
    try Data(repeating: 1, count: 10_000).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try FileSource(path: path)
    let weight = Weight.stored(file, byteOffset: 0, type: .f32, shape: [50, 50])
    #expect(truncate(path, 5000) == 0)
    let error = #expect(throws: FormatError.self) { try weight.keeping([0, 49], axis: 1).bytes() }
    #expect(error?.code == .truncated && error?.file == path)
    #expect(throws: FormatError.self) { try weight.nonzeroStructure(pool: ThreadPool(threadCount: 2)) }
  }
}
