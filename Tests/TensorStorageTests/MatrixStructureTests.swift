import PollardBase
import TensorStorage
import Testing

@Suite("Zeros and non-finite numbers of a matrix")
struct MatrixStructureTests {
  @Test(
    "One pass finds what looking at each element finds",
    arguments: [ElementType.f32, .bf16, .f16, .f64, .i32], [1, 2])
  func agreesWithNaive(type: ElementType, threads: Int) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let pool = ThreadPool(threadCount: threads)
    for isTransposed in [false, true] {
      for usesActive in [false, true] {
        let rows = Int.random(in: 1...90, using: &generator)
        let columns = Int.random(in: 1...90, using: &generator)
        let zeroRows = Set((0..<rows).filter { _ in Bool.random(using: &generator) })
        let zeroColumns = Set((0..<columns).filter { _ in Bool.random(using: &generator) })
        var tensor = NaiveTensor(type: type, extents: [rows, columns], elements: [])
        for row in 0..<rows {
          for column in 0..<columns {
            let isZero = zeroRows.contains(row) || zeroColumns.contains(column)
            let kind = Int.random(in: 0..<400, using: &generator)
            let value: Float = kind == 0 ? .nan : kind == 1 ? -.infinity : isZero ? (kind % 2 == 0 ? -0.0 : 0) : -1.5
            tensor.elements.append(naiveCast(littleEndian([value.bitPattern]), .f32, type))
          }
        }
        let file = try temporaryFile(tensor.bytes)
        var weight = Weight.stored(file, byteOffset: 0, type: type, shape: [rows, columns])
        if isTransposed {
          weight = weight.transposed()
          tensor = tensor.transposed([1, 0])
        }
        let seen = tensor.extents
        let active = usesActive ? (0..<seen[0]).map { _ in Bool.random(using: &generator) } : nil
        var expected = MatrixStructure(
          rowNonzero: Array(repeating: false, count: seen[0]), columnNonzero: Array(repeating: false, count: seen[1]),
          rowNonfinite: Array(repeating: false, count: seen[0]),
          columnNonfinite: Array(repeating: false, count: seen[1]))
        for row in 0..<seen[0] {
          for column in 0..<seen[1] {
            let value = naiveValue(tensor[[row, column]], type)
            if value != 0 {
              expected.rowNonzero[row] = true
              if active?[row] ?? true { expected.columnNonzero[column] = true }
            }
            if !value.isFinite {
              expected.rowNonfinite[row] = true
              expected.columnNonfinite[column] = true
            }
          }
        }
        let found = try weight.nonzeroStructure(activeRows: active, pool: pool)
        #expect(found == expected, "seed \(seed), transposed \(isTransposed), active \(usesActive)")
      }
    }
  }

  @Test("The smallest double is not zero")
  func smallDoubles() throws {
    let weight = Weight.literal(
      bytes: littleEndian([Double.leastNonzeroMagnitude.bitPattern, 0]), type: .f64, shape: [2, 1])
    let structure = try weight.nonzeroStructure(pool: ThreadPool(threadCount: 1))
    #expect(structure.rowNonzero == [true, false] && structure.columnNonzero == [true])
  }

  @Test("A matrix without rows or columns has nothing")
  func emptyMatrix() throws {
    let structure = try Weight.zeros(type: .f32, shape: [0, 3]).nonzeroStructure(pool: ThreadPool(threadCount: 2))
    #expect(structure.columnNonzero == [false, false, false] && structure.rowNonzero.isEmpty)
  }
}
