import PollardBase
import TensorKernels
import Testing

/// `Σ_k a[m, k] · b[n, k]` as the contract says it: from +0, ascending k, fused multiply-add, then the bias.
private func orderedProduct(
  _ a: [Float], _ b: [Float], bias: [Float]?, rows: Int, depth: Int, columns: Int
) -> [Float] {
  var c: [Float] = []
  for m in 0..<rows {
    for n in 0..<columns {
      var sum: Float = 0
      for k in 0..<depth { sum.addProduct(a[m * depth + k], b[n * depth + k]) }
      c.append(bias.map { sum + $0[n] } ?? sum)
    }
  }
  return c
}

private func product(
  _ a: [Float], _ b: [Float], bias: [Float]?, rows: Int, depth: Int, columns: Int,
  activation: UnaryOperation = .copy, heldAs encoding: FloatEncoding = .float32, pool: ThreadPool = oneThread
) -> [Float] {
  let packed = PackedMatrix(depth: depth, columns: columns, heldAs: encoding)
  b.withUnsafeBytes {
    packed.pack(columns: 0..<columns, from: $0, encoding: .float32, layout: .outputsFirst, pool: pool)
  }
  // Rows of C lie apart and the gaps hold guard values.
  let gap = 5
  var c = [Float](repeating: 77, count: rows * (columns + gap))
  a.asMatrix(rows, depth) { a in
    c.withUnsafeMutableBufferPointer { c in
      let view = MutableMatrixView(base: c.baseAddress, rows: rows, columns: columns, rowStride: columns + gap)
      func run(_ bias: UnsafePointer<Float>?) {
        Kernels.matrixProduct(a, packed, bias: bias, activation: activation, into: view, pool: pool)
      }
      if let bias { bias.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
    }
  }
  for m in 0..<rows {
    #expect(c[(m * (columns + gap) + columns)..<((m + 1) * (columns + gap))].allSatisfy { $0 == 77 })
  }
  return (0..<rows).flatMap { m in c[(m * (columns + gap))..<(m * (columns + gap) + columns)] }
}

/// Rows, depth, columns.
#if DEBUG
  private let shapes = [(1, 1, 1), (3, 0, 5), (1, 7, 33), (13, 20, 47), (2, 515, 3)]
#else
  private let shapes = [
    (1, 1, 1), (3, 0, 5), (40, 0, 70), (1, 7, 33), (2, 64, 64), (4, 100, 129), (5, 33, 31), (13, 20, 47), (2, 515, 3),
    (12, 16, 32), (7, 511, 65), (25, 513, 97), (150, 37, 40), (293, 130, 61), (17, 1100, 95), (128, 96, 100),
  ]
#endif

extension KernelTests {
  @Suite("Matrix product")
  struct MatrixProductTests {
    @Test(
      "equals the fused sum over ascending k to the bit, on every instruction set, with one and two threads",
      arguments: shapes)
    func orderOfSummation(rows: Int, depth: Int, columns: Int) {
      let seed = UInt64(rows * 1_000_003 + depth * 1009 + columns)
      var numbers = SeededNumbers(seed: seed)
      let a = numbers.numbers(rows * depth), b = numbers.numbers(columns * depth)
      for bias in [nil, numbers.numbers(columns)] {
        let expected = orderedProduct(a, b, bias: bias, rows: rows, depth: depth, columns: columns)
        for pool in [oneThread, twoThreads] {
          for (set, found) in onEveryInstructionSet({
            product(a, b, bias: bias, rows: rows, depth: depth, columns: columns, pool: pool)
          }) {
            #expect(
              firstDifference(canonicalBits(found), canonicalBits(expected)) == nil,
              "\(set), \(pool.threadCount) threads, seed \(seed)")
          }
        }
      }
    }

    @Test("does not change a bit when terms that are zero are left out", arguments: InstructionSet.available)
    func deadTerms(set: InstructionSet) {
      using(set) {
        for seed in UInt64(1)...4 {
          var numbers = SeededNumbers(seed: seed)
          let rows = 1 + numbers.integer(below: 20), columns = 1 + numbers.integer(below: 70)
          let depth = 20 + numbers.integer(below: 600)
          let alive = (0..<depth).filter { _ in numbers.integer(below: 3) > 0 }
          let isAlive = Set(alive)
          let a = numbers.numbers(rows * depth)
          let b = (0..<(columns * depth)).map { isAlive.contains($0 % depth) ? numbers.number() : 0 }
          let shortA = (0..<rows).flatMap { m in alive.map { a[m * depth + $0] } }
          let shortB = (0..<columns).flatMap { n in alive.map { b[n * depth + $0] } }
          let whole = product(a, b, bias: nil, rows: rows, depth: depth, columns: columns)
          let short = product(shortA, shortB, bias: nil, rows: rows, depth: alive.count, columns: columns)
          #expect(firstDifference(canonicalBits(whole), canonicalBits(short)) == nil, "seed \(seed)")
        }
      }
    }

    @Test("gives a column the same bits when its neighbours are removed", arguments: InstructionSet.available)
    func removedColumns(set: InstructionSet) {
      using(set) {
        var numbers = SeededNumbers(seed: 5)
        let (rows, depth, columns) = (14, 40, 75)
        let a = numbers.numbers(rows * depth), b = numbers.numbers(columns * depth)
        let kept = (0..<columns).filter { _ in numbers.integer(below: 2) == 0 }
        let shortB = kept.flatMap { b[($0 * depth)..<(($0 + 1) * depth)] }
        for activation in UnaryOperation.allCases {
          let whole = product(a, b, bias: nil, rows: rows, depth: depth, columns: columns, activation: activation)
          let short = product(
            a, shortB, bias: nil, rows: rows, depth: depth, columns: kept.count, activation: activation)
          let expected = (0..<rows).flatMap { m in kept.map { whole[m * columns + $0] } }
          #expect(firstDifference(canonicalBits(short), canonicalBits(expected)) == nil, "\(activation)")
        }
      }
    }

    @Test(
      "gives the same bits from a matrix that is held as narrow as its numbers are",
      arguments: [FloatEncoding.float16, .bfloat16], shapes)
    func narrow(encoding: FloatEncoding, shape: (Int, Int, Int)) {
      let (rows, depth, columns) = shape
      var numbers = SeededNumbers(seed: UInt64(rows * 31 + columns))
      let a = numbers.numbers(rows * depth), bias = numbers.numbers(columns)
      var b = numbers.numbers(columns * depth)
      var narrow = [UInt8](repeating: 0, count: b.count * 2)
      narrow.withUnsafeMutableBytes { bytes in b.withUnsafeBufferPointer { encoding.encode($0, into: bytes) } }
      narrow.withUnsafeBytes { bytes in b.withUnsafeMutableBufferPointer { encoding.decode(bytes, into: $0) } }
      let expected = product(a, b, bias: bias, rows: rows, depth: depth, columns: columns)
      for (set, found) in onEveryInstructionSet({
        product(a, b, bias: bias, rows: rows, depth: depth, columns: columns, heldAs: encoding, pool: twoThreads)
      }) {
        #expect(firstDifference(canonicalBits(found), canonicalBits(expected)) == nil, "\(set)")
      }
    }

    @Test("applies the activation after the bias", arguments: InstructionSet.available)
    func activationAfterBias(set: InstructionSet) {
      using(set) {
        let found = product(
          [1, 2, 3], [1, 1, 1, -1, -1, -1], bias: [-7, 7], rows: 1, depth: 3, columns: 2, activation: .relu)
        #expect(found == [0, 1])
      }
    }

    @Test("packs every encoding, layout and piece to the same matrix", arguments: FloatEncoding.allCases)
    func packing(encoding: FloatEncoding) {
      // Small integers are exact in every encoding; the product with the identity gives the matrix back.
      let (depth, columns) = (37, 75)
      let value = { (k: Int, n: Int) -> Float in Float((k * 7 + n * 3) % 13 - 6) }
      var identity = [Float](repeating: 0, count: depth * depth)
      for k in 0..<depth { identity[k * depth + k] = 1 }
      let expected = (0..<depth).flatMap { k in (0..<columns).map { value(k, $0) } }
      for layout in [PackedMatrix.Layout.inputsFirst, .outputsFirst] {
        let (outer, inner) = layout == .inputsFirst ? (depth, columns) : (columns, depth)
        let stride = inner + 3
        var source = [Float](repeating: 99, count: outer * stride)
        for i in 0..<outer {
          for j in 0..<inner { source[i * stride + j] = layout == .inputsFirst ? value(i, j) : value(j, i) }
        }
        var bytes = [UInt8](repeating: 0, count: source.count * encoding.byteCount + 1)
        bytes.withUnsafeMutableBytes { raw in
          source.withUnsafeBufferPointer {
            encoding.encode($0, into: UnsafeMutableRawBufferPointer(rebasing: raw[1...]))
          }
        }
        let narrow: [FloatEncoding] = [.float32, .float16, .bfloat16]
        for held in narrow {
          for (set, found) in onEveryInstructionSet({ () -> [Float] in
            let packed = PackedMatrix(depth: depth, columns: columns, heldAs: held)
            bytes.withUnsafeBytes { raw in
              for piece in [0..<32, 32..<columns] {
                let skip = 1 + encoding.byteCount * piece.lowerBound * (layout == .inputsFirst ? 1 : stride)
                packed.pack(
                  columns: piece, from: UnsafeRawBufferPointer(rebasing: raw[skip...]), encoding: encoding,
                  layout: layout, stride: stride, pool: twoThreads)
              }
            }
            var c = [Float](repeating: 0, count: depth * columns)
            identity.asMatrix(depth, depth) { identity in
              c.asMutableMatrix(depth, columns) { Kernels.matrixProduct(identity, packed, into: $0, pool: oneThread) }
            }
            return c
          }) {
            #expect(found == expected, "\(set) \(layout) held as \(held)")
          }
        }
      }
    }
  }
}
