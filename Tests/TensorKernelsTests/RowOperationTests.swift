import PollardBase
import TensorKernels
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The sum as the contract says it: 16 lanes, folded 8-4-2-1.
private func laneSum(_ count: Int, _ step: (Float, Int) -> Float) -> Float {
  var lanes = [Float](repeating: 0, count: 16)
  for i in 0..<count { lanes[i % 16] = step(lanes[i % 16], i) }
  for width in [8, 4, 2, 1] { for i in 0..<width { lanes[i] += lanes[i + width] } }
  return lanes[0]
}

private func run(
  _ x: [Float], rows: Int, columns: Int, _ kernel: (MatrixView, MutableMatrixView) -> Void
) -> [Float] {
  var y = [Float](repeating: 55, count: x.count)
  x.asMatrix(rows, columns) { x in y.asMutableMatrix(rows, columns) { kernel(x, $0) } }
  return y
}

private let widths = [1, 5, 16, 17, 64, 100, 768]

extension KernelTests {
  @Suite("Row operations")
  struct RowOperationTests {
    @Test("sum in 16 lanes folded 8-4-2-1, with the same bits everywhere", arguments: widths)
    func sums(columns: Int) {
      var numbers = SeededNumbers(seed: UInt64(columns))
      let rows = 3, x = numbers.numbers(rows * columns)
      for pool in [oneThread, twoThreads] {
        for (set, found) in onEveryInstructionSet({
          RowReduction.allCases.map { reduction -> [Float] in
            var y = [Float](repeating: 0, count: rows)
            x.asMatrix(rows, columns) { x in
              y.withUnsafeMutableBufferPointer { Kernels.reduceRows(reduction, x, into: $0, pool: pool) }
            }
            return y
          }
        }) {
          for r in 0..<rows {
            let row = Array(x[(r * columns)..<((r + 1) * columns)])
            let sum = laneSum(columns) { $0 + row[$1] }
            #expect(found[Int(RowReduction.sum.rawValue)][r] == sum, "\(set)")
            #expect(found[Int(RowReduction.mean.rawValue)][r] == sum / Float(columns), "\(set)")
            #expect(found[Int(RowReduction.maximum.rawValue)][r] == row.max(), "\(set)")
            #expect(found[Int(RowReduction.minimum.rawValue)][r] == row.min(), "\(set)")
            let squares = laneSum(columns) { $0.addingProduct(row[$1], row[$1]) }
            #expect(found[Int(RowReduction.sumOfSquares.rawValue)][r] == squares, "\(set)")
          }
        }
      }
    }

    @Test("of nothing have their stated values, and NaN is never lost")
    func emptyAndNaN() {
      for set in InstructionSet.available {
        using(set) {
          func reduce(_ reduction: RowReduction, _ x: [Float]) -> Float {
            var y: [Float] = [9]
            x.asMatrix(1, x.count) { x in
              y.withUnsafeMutableBufferPointer { Kernels.reduceRows(reduction, x, into: $0, pool: oneThread) }
            }
            return y[0]
          }
          #expect(reduce(.sum, []) == 0)
          #expect(reduce(.mean, []).isNaN)
          #expect(reduce(.maximum, []) == -.infinity)
          #expect(reduce(.minimum, []) == .infinity)
          for place in [0, 3, 15, 16, 18] {
            var x = [Float](repeating: 1, count: 19)
            x[place] = .nan
            for reduction in RowReduction.allCases { #expect(reduce(reduction, x).isNaN, "\(reduction) \(place)") }
          }
        }
      }
    }

    @Test("normalise as defined, with the same bits everywhere", arguments: widths)
    func norms(columns: Int) {
      var numbers = SeededNumbers(seed: UInt64(columns) + 7)
      let rows = 4, x = numbers.numbers(rows * columns).map { $0 * 3 + 1 }
      let scale = numbers.numbers(columns), bias = numbers.numbers(columns)
      let epsilon: Float = 1e-5
      var layer: [Float] = [], rms: [Float] = [], soft: [Double] = []
      for r in 0..<rows {
        let row = Array(x[(r * columns)..<((r + 1) * columns)])
        let mean = laneSum(columns) { $0 + row[$1] } / Float(columns)
        let variance = laneSum(columns) { $0.addingProduct(row[$1] - mean, row[$1] - mean) } / Float(columns)
        let factor = 1 / (variance + epsilon).squareRoot()
        layer += (0..<columns).map { bias[$0].addingProduct((row[$0] - mean) * factor, scale[$0]) }
        let squares = laneSum(columns) { $0.addingProduct(row[$1], row[$1]) } / Float(columns)
        rms += (0..<columns).map { row[$0] * (1 / (squares + epsilon).squareRoot()) * scale[$0] }
        let weights = row.map { exp(Double($0)) }
        soft += weights.map { $0 / weights.reduce(0, +) }
      }
      for pool in [oneThread, twoThreads] {
        for (set, found) in onEveryInstructionSet({
          scale.withUnsafeBufferPointer { scale in
            bias.withUnsafeBufferPointer { bias in
              (
                run(x, rows: rows, columns: columns) {
                  Kernels.layerNorm(
                    $0, scale: scale.baseAddress, bias: bias.baseAddress, epsilon: epsilon, into: $1, pool: pool)
                },
                run(x, rows: rows, columns: columns) {
                  Kernels.rmsNorm($0, scale: scale.baseAddress, epsilon: epsilon, into: $1, pool: pool)
                },
                run(x, rows: rows, columns: columns) { Kernels.softmax($0, into: $1, pool: pool) }
              )
            }
          }
        }) {
          #expect(found.0 == layer, "\(set)")
          #expect(found.1 == rms, "\(set)")
          #expect(zip(found.2, soft).allSatisfy { abs(Double($0) - $1) <= 1e-6 * $1 }, "\(set)")
        }
      }
      let softmaxes = onEveryInstructionSet {
        canonicalBits(run(x, rows: rows, columns: columns) { Kernels.softmax($0, into: $1, pool: oneThread) })
      }
      #expect(softmaxes.allSatisfy { $0.1 == softmaxes[0].1 })
    }

    @Test("softmax gives far keys exactly zero and a row of -infinity NaN", arguments: InstructionSet.available)
    func softmaxEdges(set: InstructionSet) {
      using(set) {
        let x: [Float] = [0, -200, -.infinity, 0] + [Float](repeating: -.infinity, count: 4)
        let y = run(x, rows: 2, columns: 4) { Kernels.softmax($0, into: $1, pool: oneThread) }
        #expect(firstDifference(canonicalBits(Array(y[..<4])), canonicalBits([0.5, 0, 0, 0.5])) == nil)
        #expect(y[4...].allSatisfy { $0.isNaN })
      }
    }

    @Test("rotate pairs by their angles and copy the rest", arguments: [1, 3, 8, 16, 21, 64])
    func rotary(half: Int) {
      var numbers = SeededNumbers(seed: UInt64(half))
      let rows = 3, columns = 2 * half + 5
      let x = numbers.numbers(rows * columns), angles = numbers.numbers(rows * half)
      let cosines = angles.map { cosf($0 * 9) }, sines = angles.map { sinf($0 * 9) }
      for interleaved in [false, true] {
        var expected = x
        for r in 0..<rows {
          for i in 0..<half {
            let first = r * columns + (interleaved ? 2 * i : i)
            let second = first + (interleaved ? 1 : half)
            let (c, s) = (cosines[r * half + i], sines[r * half + i])
            expected[first] = (-(x[second] * s)).addingProduct(x[first], c)
            expected[second] = (x[first] * s).addingProduct(x[second], c)
          }
        }
        for (set, found) in onEveryInstructionSet({ () -> [Float] in
          cosines.asMatrix(rows, half) { cosines in
            sines.asMatrix(rows, half) { sines in
              run(x, rows: rows, columns: columns) {
                Kernels.rotary($0, cosines: cosines, sines: sines, interleaved: interleaved, into: $1)
              }
            }
          }
        }) {
          #expect(found == expected, "\(set), interleaved \(interleaved)")
        }
      }
    }
  }
}
