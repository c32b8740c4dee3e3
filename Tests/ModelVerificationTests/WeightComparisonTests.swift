import ModelVerification
import PollardBase
import TensorStorage
import Testing

@Suite("Tensors are compared byte for byte")
struct WeightComparisonTests {
  private func first(_ a: Weight, _ b: Weight, chunk: Int = 1 << 20) throws -> Int? {
    try WeightComparison.firstDifference(a, b, pool: pool, chunkBytes: chunk)
  }

  @Test("equal bytes are equal, however they come about")
  func equal() throws {
    let a = Weight.floats([1, 2, 3, 4, 5, 6], shape: [3, 2])
    #expect(try first(a, a) == nil)
    #expect(try first(a, .floats([1, 2, 3, 4, 5, 6], shape: [3, 2])) == nil)
    let wide = Weight.floats([1, 9, 2, 3, 9, 4, 5, 9, 6], shape: [3, 3])
    #expect(try first(a, wide.keeping([0, 2], axis: 1)) == nil)
  }

  @Test("the first element that differs is found, whatever the chunks", arguments: [1, 4, 8, 12, 1 << 20])
  func place(_ chunk: Int) throws {
    let values = (0..<100).map(Float.init)
    for places in [[0], [99], [41], [7, 8, 60], [99, 50]] {
      var changed = values
      for place in places { changed[place] += 0.5 }
      let found = try first(.floats(values, shape: [10, 10]), .floats(changed, shape: [10, 10]), chunk: chunk)
      #expect(found == places.min())
    }
  }

  @Test("the last bytes that fill no word are compared as well", arguments: 1...17)
  func tail(_ count: Int) throws {
    let bytes = (0..<count).map(UInt8.init)
    var changed = bytes
    changed[count - 1] ^= 0x80
    let shape = Shape([count])
    #expect(
      try first(.literal(bytes: bytes, type: .u8, shape: shape), .literal(bytes: changed, type: .u8, shape: shape))
        == count - 1)
  }

  @Test("zeros of either sign differ, and a NaN equals itself")
  func bits() throws {
    #expect(try first(.floats([0, 0], shape: [2]), .floats([0, -0.0], shape: [2])) == 1)
    #expect(try first(.floats([.nan], shape: [1]), .floats([.nan], shape: [1])) == nil)
    let other = Float(bitPattern: Float.nan.bitPattern ^ 1)
    #expect(try first(.floats([.nan], shape: [1]), .floats([other], shape: [1])) == 0)
  }

  @Test("nothing is equal to nothing")
  func empty() throws { #expect(try first(.floats([], shape: [0, 3]), .zeros(type: .f32, shape: [0, 3])) == nil) }
}

@Suite("A checkpoint holds what it must, tensor by tensor")
struct TensorProofTests {
  private let a = Weight.floats([1, 2, 3, 4, 5, 6], shape: [2, 3])
  private let b = Weight.floats([7], shape: [1])

  private func proof(
    _ expected: [(name: String, weight: Weight)], _ found: [(name: String, weight: Weight)]
  ) throws -> TensorProof {
    try TensorProof(expected: expected, found: found, pool: pool)
  }

  @Test("all there, in another order")
  func complete() throws {
    let result = try proof([("a", a), ("b", b)], [("b", b), ("a", .floats([1, 2, 3, 4, 5, 6], shape: [2, 3]))])
    #expect(result.keptTensors == 2)
    #expect(result.problems.isEmpty)
  }

  @Test("missing, and not belonging")
  func names() throws {
    let result = try proof([("a", a), ("b", b)], [("a", a), ("c", b)])
    #expect(result.keptTensors == 1)
    #expect(result.problems == [#"tensor "b" is missing"#, #"tensor "c" does not belong here"#])
  }

  @Test("another shape or type")
  func shapes() throws {
    let result = try proof(
      [("a", a), ("b", b)], [("a", .floats([1, 2, 3, 4, 5, 6], shape: [3, 2])), ("b", b.cast(to: .bf16))])
    #expect(result.keptTensors == 0)
    #expect(
      result.problems == [
        #"tensor "a": expected F32[2, 3], found F32[3, 2]"#, #"tensor "b": expected F32[1], found BF16[1]"#,
      ])
  }

  @Test("other content, with the element's place in each axis")
  func content() throws {
    let result = try proof([("a", a)], [("a", .floats([1, 2, 3, 4, 0, 0], shape: [2, 3]))])
    #expect(result.keptTensors == 0)
    #expect(result.problems == [#"tensor "a": bytes differ from element [1, 1] on"#])
  }

  @Test("names are shown without control characters")
  func escaping() throws {
    #expect(try proof([("a\u{1b}", a)], []).problems == [#"tensor "a\u{1b}" is missing"#])
  }
}
