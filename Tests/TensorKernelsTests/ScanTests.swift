import TensorKernels
import Testing

extension KernelTests {
  @Suite("Zero scan")
  struct ScanTests {
    @Test("finds the nonzero and nonfinite rows and columns of every encoding", arguments: FloatEncoding.allCases)
    func flags(encoding: FloatEncoding) {
      for seed in UInt64(1)...6 {
        var numbers = SeededNumbers(seed: seed)
        let rows = 1 + numbers.integer(below: 9), columns = 1 + numbers.integer(below: 200)
        var matrix = [Float](repeating: 0, count: rows * columns)
        for i in matrix.indices where numbers.integer(below: 3) == 0 { matrix[i] = -0.0 }
        let special: [Float] = [1, -2, .nan, encoding == .float8E4M3FN ? .nan : .infinity, 0.015625]
        for _ in 0..<numbers.integer(below: 8) {
          matrix[numbers.integer(below: matrix.count)] = special[numbers.integer(below: special.count)]
        }
        let selection = (0..<rows).map { _ in UInt8(numbers.integer(below: 4) == 0 ? 0 : 1) }
        for chosen in [nil, selection] {
          var expected = (
            rows: [UInt8](repeating: 0, count: rows), columns: [UInt8](repeating: 0, count: columns),
            badRows: [UInt8](repeating: 0, count: rows), badColumns: [UInt8](repeating: 0, count: columns)
          )
          for r in 0..<rows where chosen?[r] != 0 {
            for c in 0..<columns where matrix[r * columns + c] != 0 {
              expected.rows[r] = 1
              expected.columns[c] = 1
              if !matrix[r * columns + c].isFinite {
                expected.badRows[r] = 1
                expected.badColumns[c] = 1
              }
            }
          }
          var bytes = [UInt8](repeating: 0, count: matrix.count * encoding.byteCount)
          bytes.withUnsafeMutableBytes { raw in matrix.withUnsafeBufferPointer { encoding.encode($0, into: raw) } }
          for (set, scan) in onEveryInstructionSet({ () -> ZeroScan in
            var scan = ZeroScan(rows: rows, columns: columns)
            let half = rows / 2
            bytes.withUnsafeBytes { raw in
              let split = half * columns * encoding.byteCount
              scan.add(
                rows: half..<rows, from: UnsafeRawBufferPointer(rebasing: raw[split...]), encoding: encoding,
                selection: chosen)
              scan.add(
                rows: 0..<half, from: UnsafeRawBufferPointer(rebasing: raw[..<split]), encoding: encoding,
                selection: chosen)
            }
            return scan
          }) {
            #expect(scan.rowNonzero == expected.rows, "\(set), seed \(seed)")
            #expect(scan.columnNonzero == expected.columns, "\(set), seed \(seed)")
            #expect(scan.rowNonfinite == expected.badRows, "\(set), seed \(seed)")
            #expect(scan.columnNonfinite == expected.badColumns, "\(set), seed \(seed)")
          }
        }
      }
    }
  }

  @Suite("Buffer comparison")
  struct ComparisonTests {
    @Test("counts differences, signs of zero and mismatched NaN")
    func comparison() {
      let reference: [Float] = [1, 0, .nan, 3, .infinity, -2, -0.0, .leastNonzeroMagnitude, 4]
      let other: [Float] = [1, -0.0, .nan, 3.0000002, 1, .nan, -0.0, -.leastNonzeroMagnitude, 4]
      let result = reference.withUnsafeBufferPointer { a in
        other.withUnsafeBufferPointer { BufferComparison(reference: a, other: $0) }
      }
      #expect(result.differing == 4)
      #expect(result.firstDiffering == 3)
      #expect(result.signDifferences == 1)
      #expect(result.nonfiniteMismatches == 2)
      #expect(result.maximumULP == 2)
      #expect(result.maximumAbsolute == Double(Float(3.0000002)) - 3)
      #expect(result.maximumReference == 4)
      #expect(!result.isEqual)
    }
  }
}
