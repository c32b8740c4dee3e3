import PollardBase
import TensorStorage
import Testing

@Suite("Normal form of weights")
struct NormalFormTests {
  private let file: FileSource

  init() throws { file = try temporaryFile(Array(repeating: 7, count: 20000)) }

  private func stored(_ type: ElementType = .f32, _ shape: Shape = [64, 32], at offset: Int = 1234) -> Weight {
    .stored(file, byteOffset: offset, type: type, shape: shape)
  }

  @Test("Kept rows print as a keep of stored bytes")
  func describesKeep() {
    let weight = stored().keeping(Array(0..<48), axis: 0)
    #expect(weight.description == "keep(axis 0: 48 of 64) of F32[64, 32] at 1234")
  }

  @Test("A literal term and its negative cancel, whatever is done between")
  func oppositeTerms() {
    let (one, minus) = (Weight.floats([1], shape: [1]), Weight.floats([-1], shape: [1]))
    let vector = stored(.f32, [64])
    #expect(vector.adding(one).adding(minus) == vector)
    #expect(vector.adding(minus).adding(one) == vector)
    #expect(
      vector.adding(minus).keeping([3, 5], axis: 0).adding(one) == vector.keeping([3, 5], axis: 0))
    let narrow = stored(.bf16, [64])
    #expect(narrow.cast(to: .f32).adding(one).adding(minus).cast(to: .bf16) == narrow)
    let ramp = Weight.floats((0..<64).map { Float($0) - 8 }, shape: [64])
    let fall = Weight.floats((0..<64).map { 8 - Float($0) }, shape: [64])
    // The zeros of the two have one sign: only what differs in all signs cancels.
    #expect(vector.adding(ramp).adding(fall) != vector)
    #expect(vector.adding(one).adding(one) != vector)
    #expect(vector.adding(one).adding(.floats([-2], shape: [1])) != vector)
  }

  @Test("Transposing twice gives the stored tensor")
  func transposesCancel() {
    #expect(stored().transposed().transposed() == stored())
    let cube = stored(.f32, [2, 3, 4])
    #expect(cube.transposed([1, 2, 0]).transposed([2, 0, 1]) == cube)
    #expect(cube.transposed([1, 2, 0]).transposed([1, 2, 0]).outerPermutation == [2, 0, 1])
  }

  @Test("An imported, cut and exported matrix is a slice of its source", arguments: [ElementType.bf16, .f16])
  func roundTripIsSlice(type: ElementType) throws {
    let rows = [0, 1, 2, 5]
    let columns = [1, 3, 4]
    let imported = stored(type).transposed().cast(to: .f32)
    let cut = imported.keeping(columns, axis: 0).keeping(rows, axis: 1)
    let exported = cut.cast(to: type).transposed()
    let slice = try #require(exported.sourceSlice)
    #expect(slice.byteOffset == 1234 && slice.type == type && slice.shape == [64, 32])
    #expect(slice.kept == [rows, columns])
    #expect(exported.shape == [4, 3])
    #expect(cut.outerPermutation == [1, 0])
    #expect(
      cut.withoutOuterPermutation.description
        == "cast(F32) of keep(axis 0: 4 of 64, axis 1: 3 of 32) of \(type)[64, 32] at 1234")
    #expect(cut.sourceSlice == nil)
  }

  @Test("The parts of a fused matrix join to the matrix")
  func fusedPartsJoin() {
    let fused = stored(.bf16, [16, 48])
    let parts = (0..<3).map { part in
      fused.keeping(Array(part * 16..<part * 16 + 16), axis: 1).transposed().cast(to: .f32)
    }
    let joined = Weight.concatenated(parts, axis: 0)
    #expect(joined.cast(to: .bf16).transposed() == fused)
    let cut = parts.map { $0.keeping([0, 2], axis: 0) }
    let slice = Weight.concatenated(cut, axis: 0).cast(to: .bf16).transposed().sourceSlice
    #expect(slice?.kept == [nil, [0, 2, 16, 18, 32, 34]])
  }

  @Test("Slices that differ across the joined axis stay apart")
  func differentSlicesStayApart() throws {
    let matrix = Weight.stored(try temporaryFile((0..<16).map { UInt8($0) }), byteOffset: 0, type: .u8, shape: [4, 4])
    let joined = Weight.concatenated(
      [matrix.keeping([0], axis: 0).keeping([0, 1], axis: 1), matrix.keeping([1], axis: 0).keeping([2, 3], axis: 1)],
      axis: 0)
    #expect(joined.sourceSlice == nil)
    #expect(try joined.bytes() == [0, 1, 6, 7])
  }

  @Test("A list that is no product of the merged axes' lists stays outside of the reshape")
  func unorderedListsStayOutside() throws {
    let merged = Weight.stored(try temporaryFile([0, 1, 2, 3, 4, 5]), byteOffset: 0, type: .u8, shape: [2, 3]).reshaped(
      [6])
    #expect(try merged.keeping([0, 4, 3, 1], axis: 0).bytes() == [0, 4, 3, 1])
    #expect(try merged.keeping([0, 4], axis: 0).keeping([1], axis: 0).bytes() == [4])
    #expect(merged.keeping([3, 4, 0, 1], axis: 0).reshaped([2, 2]).sourceSlice?.kept == [[1, 0], [0, 1]])
  }

  @Test("Keeping everything in order changes nothing; lists compose")
  func keepsCompose() {
    #expect(stored().keeping(Array(0..<64), axis: 0) == stored())
    #expect(stored().keeping([4, 9, 11], axis: 0).keeping([2, 0], axis: 0) == stored().keeping([11, 4], axis: 0))
    #expect(
      stored().keeping([3], axis: 1).keeping([5], axis: 0) == stored().keeping([5], axis: 0).keeping([3], axis: 1))
  }

  @Test("A widening and the cast back vanish, a narrowing stays")
  func castsCompose() {
    #expect(stored(.bf16).cast(to: .f32).cast(to: .f64).cast(to: .bf16) == stored(.bf16))
    #expect(stored(.f32).cast(to: .f64).cast(to: .f32) == stored(.f32))
    #expect(stored(.f32).cast(to: .f32) == stored(.f32))
    #expect(stored(.f32).cast(to: .bf16).cast(to: .f32) != stored(.f32))
    #expect(stored(.f16).cast(to: .f32).cast(to: .bf16) == stored(.f16).cast(to: .bf16))
    #expect(stored(.f16).cast(to: .bf16).cast(to: .f16) != stored(.f16))
  }

  @Test("Head rows kept through a split axis are rows of the stored matrix")
  func keepsPassReshapes() {
    let heads = stored(.f32, [64, 32]).reshaped([8, 8, 32])
    let cut = heads.keeping([1, 6], axis: 0).reshaped([16, 32])
    #expect(cut.sourceSlice?.kept == [Array(8..<16) + Array(48..<56), nil])
    let merged = stored(.f32, [8, 8, 32]).reshaped([64, 32]).keeping(Array(8..<16) + Array(48..<56), axis: 0)
    #expect(merged.reshaped([2, 8, 32]).sourceSlice?.kept == [[1, 6], nil, nil])
  }

  @Test("Zeroed positions are remapped by a keep and vanish with their slices")
  func zeroedPositionsFollow() {
    let weight = stored().zeroing([2, 5, 7], axis: 0)
    #expect(weight.keeping([0, 1, 3], axis: 0) == stored().keeping([0, 1, 3], axis: 0))
    #expect(weight.keeping([5, 0], axis: 0) == stored().keeping([5, 0], axis: 0).zeroing([0], axis: 0))
    #expect(
      stored().zeroing([1], axis: 1).zeroing([2], axis: 0) == stored().zeroing([2], axis: 0).zeroing([1], axis: 1))
    #expect(stored(.bf16).cast(to: .f32).zeroing([1], axis: 0).cast(to: .bf16) == stored(.bf16).zeroing([1], axis: 0))
  }

  @Test("A factor is cut with its matrix, and one of ones vanishes")
  func factorsFollow() {
    let mask = Weight.floats((0..<64).map { $0 % 3 == 0 ? 0 : 1 }, shape: [64, 1])
    let kept = (0..<64).filter { $0 % 3 != 0 }
    #expect(stored().multiplied(by: mask).keeping(kept, axis: 0) == stored().keeping(kept, axis: 0))
    #expect(
      stored().multiplied(by: mask).keeping([0, 1], axis: 1).description.contains("product of (keep(axis 1: 2 of 32)"))
    let narrow = stored(.bf16)
    #expect(narrow.cast(to: .f32).multiplied(by: mask).cast(to: .bf16) == narrow.multiplied(by: mask))
    #expect(stored(.u8).cast(to: .f32).multiplied(by: mask).cast(to: .u8).description.hasPrefix("cast(U8) of product"))
  }

  @Test("Padding is a concatenation that a keep can drop again")
  func paddingIsDropped() {
    let padded = stored().padded(axis: 0, to: 80)
    #expect(padded.shape == [80, 32] && padded.sourceSlice == nil)
    #expect(padded.keeping(Array(0..<64), axis: 0) == stored())
    #expect(padded.keeping([70, 71], axis: 0) == .zeros(type: .f32, shape: [2, 32]))
  }

  @Test("Tied weights have one identity, whichever source object they come through")
  func tiedWeightsAreOne() throws {
    let path = file.path
    #expect(stored().structuralIdentity == stored().structuralIdentity)
    #expect(stored().transposed().structuralIdentity != stored().structuralIdentity)
    #expect(stored().structuralIdentity != stored(at: 1238).structuralIdentity)
    let other = try temporaryFile(Array(repeating: 7, count: 20000))
    #expect(path != other.path)
    #expect(stored() != .stored(other, byteOffset: 1234, type: .f32, shape: [64, 32]))
  }
}
