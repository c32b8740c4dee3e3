import CTensorKernels
import PollardBase
import TensorKernels
import Testing

extension KernelTests {
  /// Tiles have another shape on each instruction set, and threads take any range of them.
  @Suite("The division of a matrix product")
  struct DivisionTests {
    @Test("into any ranges of rows and panels changes no bit", arguments: InstructionSet.available)
    func ranges(set: InstructionSet) {
      using(set) {
        for seed in UInt64(1)...20 {
          var numbers = SeededNumbers(seed: seed)
          let rows = 1 + numbers.integer(below: 60), columns = 1 + numbers.integer(below: 200)
          let depth = numbers.integer(below: 1200)
          let a = numbers.numbers(max(1, rows * depth)), b = numbers.numbers(max(1, columns * depth))
          let panels = (columns + Int(POLLARD_PANEL) - 1) / Int(POLLARD_PANEL)
          func product(_ ranges: [(rows: Range<Int>, panels: Range<Int>)]) -> [UInt32] {
            var packed = [Float](repeating: 0, count: max(1, panels * Int(POLLARD_PANEL) * depth))
            var c = [Float](repeating: 99, count: rows * columns)
            a.withUnsafeBufferPointer { a in
              b.withUnsafeBufferPointer { b in
                packed.withUnsafeMutableBufferPointer { packed in
                  c.withUnsafeMutableBufferPointer { c in
                    pollard_pack_panels(
                      packed.baseAddress, Int32(POLLARD_F32.rawValue), b.baseAddress, columns, 0, depth, columns, 0,
                      panels)
                    var gemm = pollard_gemm()
                    gemm.a = a.baseAddress
                    gemm.a_row_stride = depth
                    gemm.packed = packed.baseAddress.map { .init($0) }
                    gemm.c = c.baseAddress
                    gemm.c_row_stride = columns
                    gemm.columns = columns
                    gemm.depth = depth
                    for part in ranges {
                      pollard_gemm_f32(
                        &gemm, part.rows.lowerBound, part.rows.upperBound, part.panels.lowerBound,
                        part.panels.upperBound)
                    }
                  }
                }
              }
            }
            return canonicalBits(c)
          }
          func cuts(_ total: Int) -> [Range<Int>] {
            var places = [0, total]
            for _ in 0..<numbers.integer(below: 6) { places.append(numbers.integer(below: total + 1)) }
            places.sort()
            return zip(places, places.dropFirst()).map { $0..<$1 }
          }
          let whole = product([(0..<rows, 0..<panels)])
          for _ in 0..<3 {
            let ranges = cuts(rows).flatMap { row in cuts(panels).map { (rows: row, panels: $0) } }.reversed()
            #expect(firstDifference(product(Array(ranges)), whole) == nil, "seed \(seed)")
          }
        }
      }
    }
  }
}
