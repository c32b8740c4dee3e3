import PollardBase
import TensorStorage
import Testing

@Suite("Random expressions")
struct RandomExpressionTests {
  private static let types: [ElementType] = [.f32, .f16, .bf16, .f64, .u8, .i32]

  /// A weight together with what it must evaluate to.
  private struct Pair {
    var weight: Weight
    var naive: NaiveTensor
  }

  @Test(
    "A random expression evaluates to what doing each step at once gives, for any range of elements",
    arguments: (0..<24).map { _ in UInt64.random(in: 0...UInt64.max) })
  func agreesWithNaive(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let bytes = (0..<65536).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let file = try temporaryFile(bytes)
    for round in 0..<12 {
      var pair = leaf(file, bytes, &generator)
      var steps: [String] = []
      for _ in 0..<Int.random(in: 0...9, using: &generator) {
        pair = step(pair, file, bytes, &steps, &generator)
      }
      try check(pair, "seed \(seed) round \(round): \(steps) gives \(pair.weight)", &generator)
    }
  }

  private func check(_ pair: Pair, _ context: String, _ generator: inout SeededGenerator) throws {
    #expect(pair.weight.type == pair.naive.type && pair.weight.shape.extents == pair.naive.extents, "\(context)")
    let type = pair.weight.type
    let size = type.bitCount / 8
    let count = pair.naive.elements.count
    let whole = NaiveTensor(type: type, extents: [count], bytes: try pair.weight.bytes())
    let first = (0..<count).first { !isSame(whole.elements[$0], pair.naive.elements[$0], type) }
    #expect(whole.elements.count == count && first == nil, "\(context), element \(first ?? -1)")
    var scratch = EvaluationScratch()
    for _ in 0..<4 {
      let lower = Int.random(in: 0...count, using: &generator)
      let upper = Int.random(in: lower...count, using: &generator)
      var part = [UInt8](repeating: 0xAA, count: (upper - lower) * size + 16)
      let length = part.count
      try part.withUnsafeMutableBytes {
        try pair.weight.read(
          elements: lower..<upper, into: UnsafeMutableRawBufferPointer(rebasing: $0[8..<length - 8]), scratch: &scratch)
      }
      #expect(part.prefix(8) + part.suffix(8) == ArraySlice(repeating: 0xAA, count: 16), "\(context): guard bytes")
      let elements = NaiveTensor(type: type, extents: [upper - lower], bytes: Array(part[8..<length - 8])).elements
      let differing = zip(elements, pair.naive.elements[lower..<upper]).contains { !isSame($0, $1, type) }
      #expect(!differing, "\(context), elements \(lower)..<\(upper)")
    }
  }

  private func leaf(
    _ file: FileSource, _ bytes: [UInt8], type: ElementType? = nil, extents: [Int]? = nil,
    _ generator: inout SeededGenerator
  ) -> Pair {
    let type = type ?? Self.types.randomElement(using: &generator) ?? .f32
    let extents = extents ?? Self.randomExtents(&generator)
    let count = extents.reduce(type.bitCount / 8, *)
    let offset = Int.random(in: 0...bytes.count - count, using: &generator)
    let shape = Shape(extents)
    switch Int.random(in: 0..<8, using: &generator) {
    case 0:
      return Pair(
        weight: .zeros(type: type, shape: shape),
        naive: NaiveTensor(type: type, extents: extents, bytes: Array(repeating: 0, count: count)))
    case 1:
      let literal = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      return Pair(
        weight: .literal(bytes: literal, type: type, shape: shape),
        naive: NaiveTensor(type: type, extents: extents, bytes: literal))
    default:
      return Pair(
        weight: .stored(file, byteOffset: offset, type: type, shape: shape),
        naive: NaiveTensor(type: type, extents: extents, bytes: Array(bytes[offset..<offset + count])))
    }
  }

  private static func randomExtents(_ generator: inout SeededGenerator) -> [Int] {
    var extents = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
      [1, 2, 3, 4, 5, 8, 12].randomElement(using: &generator) ?? 1
    }
    while extents.reduce(1, *) > 1000 { extents.removeLast() }
    return extents
  }

  private func step(
    _ pair: Pair, _ file: FileSource, _ bytes: [UInt8], _ steps: inout [String], _ generator: inout SeededGenerator
  ) -> Pair {
    let extents = pair.naive.extents
    let axis = Int.random(in: 0..<extents.count, using: &generator)
    switch Int.random(in: 0..<11, using: &generator) {
    case 0, 1, 2:
      var indices = (0..<extents[axis]).filter { _ in Int.random(in: 0..<4, using: &generator) > 0 }
      if Int.random(in: 0..<5, using: &generator) == 0 { indices.shuffle(using: &generator) }
      if indices.isEmpty, Int.random(in: 0..<4, using: &generator) > 0, extents[axis] > 0 { indices = [0] }
      steps.append("keep \(indices) of axis \(axis)")
      return Pair(
        weight: pair.weight.keeping(indices, axis: axis), naive: pair.naive.keeping(indices, axis: axis))
    case 3, 4:
      let permutation = Array(extents.indices).shuffled(using: &generator)
      steps.append("transpose \(permutation)")
      return Pair(weight: pair.weight.transposed(permutation), naive: pair.naive.transposed(permutation))
    case 5:
      var target = extents
      if extents.count > 1, axis + 1 < extents.count, Bool.random(using: &generator) {
        target.replaceSubrange(axis...axis + 1, with: [extents[axis] * extents[axis + 1]])
      } else if extents.count < 5, extents[axis] > 0 {
        let divisor = (1...extents[axis]).filter { extents[axis] % $0 == 0 }.randomElement(using: &generator) ?? 1
        target.replaceSubrange(axis...axis, with: [divisor, extents[axis] / divisor])
      }
      steps.append("reshape \(target)")
      return Pair(weight: pair.weight.reshaped(Shape(target)), naive: pair.naive.reshaped(target))
    case 6:
      guard pair.naive.elements.count < 1000 else { return pair }
      var other = extents
      other[axis] = Int.random(in: 0...3, using: &generator)
      var parts = [pair, leaf(file, bytes, type: pair.weight.type, extents: other, &generator)]
      let indices = (0..<extents[axis]).filter { _ in Bool.random(using: &generator) }
      parts.append(
        Pair(weight: pair.weight.keeping(indices, axis: axis), naive: pair.naive.keeping(indices, axis: axis)))
      parts.shuffle(using: &generator)
      steps.append("concatenate along \(axis)")
      return Pair(
        weight: .concatenated(parts.map(\.weight), axis: axis),
        naive: .concatenated(parts.map(\.naive), axis: axis))
    case 7, 8:
      let type = Self.types.randomElement(using: &generator) ?? .f32
      steps.append("cast \(type)")
      return Pair(weight: pair.weight.cast(to: type), naive: pair.naive.cast(to: type))
    case 9:
      if Bool.random(using: &generator) {
        guard pair.naive.elements.count < 1000 else { return pair }
        let count = extents[axis] + Int.random(in: 0...3, using: &generator)
        var tail = extents
        tail[axis] = count - extents[axis]
        let size = pair.weight.type.bitCount / 8
        let zeros = NaiveTensor(
          type: pair.weight.type, extents: tail, bytes: Array(repeating: 0, count: tail.reduce(size, *)))
        steps.append("pad axis \(axis) to \(count)")
        return Pair(
          weight: pair.weight.padded(axis: axis, to: count), naive: .concatenated([pair.naive, zeros], axis: axis))
      }
      let positions = (0..<extents[axis]).filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
      steps.append("zero \(positions) of axis \(axis)")
      return Pair(
        weight: pair.weight.zeroing(positions, axis: axis), naive: pair.naive.zeroing(positions, axis: axis))
    default:
      guard pair.weight.type.isFloatingPoint else { return pair }
      let other = extents.map { Bool.random(using: &generator) ? $0 : 1 }
      let factor = leaf(file, bytes, extents: other, &generator)
      let isProduct = Bool.random(using: &generator)
      steps.append("\(isProduct ? "multiply" : "add") \(factor.weight.type)\(other)")
      return Pair(
        weight: isProduct ? pair.weight.multiplied(by: factor.weight) : pair.weight.adding(factor.weight),
        naive: pair.naive.combined(factor.naive, isProduct))
    }
  }
}
