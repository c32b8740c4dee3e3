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

func apply(_ operation: UnaryOperation, _ x: [Float], pool: ThreadPool = oneThread) -> [Float] {
  var y = [Float](repeating: 0, count: x.count)
  x.asMatrix(1, x.count) { x in
    y.asMutableMatrix(1, x.columns) { Kernels.unary(operation, x, into: $0, pool: pool) }
  }
  return y
}

private func apply(_ operation: BinaryOperation, _ a: [Float], _ b: [Float]) -> [Float] {
  var y = [Float](repeating: 0, count: a.count)
  a.asMatrix(1, a.count) { a in
    b.asMatrix(1, a.columns) { b in
      y.asMutableMatrix(1, a.columns) {
        Kernels.binary(operation, .matrix(a), .matrix(b), into: $0, pool: oneThread)
      }
    }
  }
  return y
}

extension KernelTests {
  @Suite("Elementwise functions")
  struct ElementwiseTests {
    @Test("have their exact values at zeros, infinities and NaN", arguments: InstructionSet.available)
    func specialValues(set: InstructionSet) {
      let inputs: [Float] = [0, -0.0, .infinity, -.infinity, .nan, -200, 200]
      let expected: [UnaryOperation: [Float]] = [
        .exponential: [1, 1, .infinity, 0, .nan, 0, .infinity],
        .logarithm: [-.infinity, -.infinity, .infinity, .nan, .nan, .nan, 5.2983174],
        .errorFunction: [0, -0.0, 1, -1, .nan, -1, 1],
        .hyperbolicTangent: [0, -0.0, 1, -1, .nan, -1, 1],
        .sigmoid: [0.5, 0.5, 1, 0, .nan, 0, 1],
        .relu: [0, 0, .infinity, 0, .nan, 0, 200],
        .geluExact: [0, -0.0, .infinity, .nan, .nan, -0.0, 200],
        .geluTanh: [0, -0.0, .infinity, .nan, .nan, -0.0, 200],
        .silu: [0, -0.0, .infinity, .nan, .nan, -0.0, 200],
        .quickGelu: [0, -0.0, .infinity, .nan, .nan, -0.0, 200],
        .mish: [0, -0.0, .infinity, .nan, .nan, -0.0, 200],
        .tangent: [0, -0.0, .nan, .nan, .nan, 1.7925274, -1.7925274],
        .arcsine: [0, -0.0, .nan, .nan, .nan, .nan, .nan],
        .arccosine: [1.5707964, 1.5707964, .nan, .nan, .nan, .nan, .nan],
        .arctangent: [0, -0.0, 1.5707964, -1.5707964, .nan, -1.5657964, 1.5657964],
        .hyperbolicSine: [0, -0.0, .infinity, -.infinity, .nan, -.infinity, .infinity],
        .hyperbolicCosine: [1, 1, .infinity, .infinity, .nan, .infinity, .infinity],
        .inverseHyperbolicSine: [0, -0.0, .infinity, -.infinity, .nan, -5.9914708, 5.9914708],
        .inverseHyperbolicCosine: [.nan, .nan, .infinity, .nan, .nan, .nan, 5.9914584],
        .inverseHyperbolicTangent: [0, -0.0, .nan, .nan, .nan, .nan, .nan],
        .exponentialMinusOne: [0, -0.0, .infinity, -1, .nan, -1, .infinity],
        .logarithmOfOnePlus: [0, -0.0, .infinity, .nan, .nan, .nan, 5.3033047],
        .softplus: [0.6931472, 0.6931472, .infinity, 0, .nan, 0, 200],
        .sine: [0, -0.0, .nan, .nan, .nan, 0.8732973, -0.8732973],
        .sign: [0, -0.0, 1, -1, .nan, -1, 1],
        .squareRoot: [0, -0.0, .infinity, .nan, .nan, .nan, 14.142136],
      ]
      using(set) {
        for (operation, values) in expected {
          #expect(
            firstDifference(canonicalBits(apply(operation, inputs)), canonicalBits(values)) == nil, "\(operation)")
        }
        // The first float32 below ln 2^-126, and the last above it.
        #expect(apply(.exponential, [-0x1.5d58a0p+6]) == [0])
        #expect(apply(.exponential, [-0x1.5d589ep+6])[0] >= .leastNormalMagnitude)
        #expect(apply(.round, [0.5, 1.5, 2.5, -0.5, 1e30]) == [0, 2, 2, 0, 1e30])
      }
    }

    @Test("depend on the bits of the input only", arguments: UnaryOperation.allCases)
    func placeIndependence(operation: UnaryOperation) {
      var numbers = SeededNumbers(seed: UInt64(operation.rawValue))
      #if DEBUG
        let x = (0..<83).map { _ in numbers.anyFloat() }
      #else
        let x = (0..<5003).map { _ in numbers.anyFloat() }
      #endif
      let single = canonicalBits(using(.portable) { x.flatMap { apply(operation, [$0]) } })
      for pool in [oneThread, twoThreads] {
        for (set, whole) in onEveryInstructionSet({ apply(operation, x, pool: pool) }) {
          #expect(firstDifference(canonicalBits(whole), single) == nil, "\(set)")
        }
        for shift in [1, 7, 15] {
          for (set, rest) in onEveryInstructionSet({ apply(operation, Array(x[shift...]), pool: pool) }) {
            #expect(firstDifference(canonicalBits(rest), Array(single[shift...])) == nil, "\(set), shifted by \(shift)")
          }
        }
      }
    }

    @Test("of two numbers depend on their bits only, in every broadcast form", arguments: BinaryOperation.allCases)
    func broadcasting(operation: BinaryOperation) {
      var numbers = SeededNumbers(seed: UInt64(operation.rawValue) + 100)
      let (rows, columns) = (5, 37)
      let a = (0..<(rows * columns)).map { _ in numbers.anyFloat() }
      let b = (0..<(rows * columns)).map { _ in numbers.anyFloat() }
      func expected(_ pick: (Int, Int) -> (Float, Float)) -> [UInt32] {
        using(.portable) {
          canonicalBits(
            (0..<rows).flatMap { r in
              (0..<columns).flatMap { c -> [Float] in
                let (x, y) = pick(r, c)
                return apply(operation, [x], [y])
              }
            })
        }
      }
      let forms:
        [(String, (MatrixView, MatrixView) -> (BroadcastOperand, BroadcastOperand), (Int, Int) -> (Float, Float))] = [
          ("matrix, matrix", { (.matrix($0), .matrix($1)) }, { (a[$0 * columns + $1], b[$0 * columns + $1]) }),
          (
            "matrix, row", { (.matrix($0), $1.base.map { .row($0) } ?? .matrix($1)) }, { (a[$0 * columns + $1], b[$1]) }
          ),
          (
            "column, matrix", { ($0.base.map { .column($0) } ?? .matrix($0), .matrix($1)) },
            { (a[$0], b[$0 * columns + $1]) }
          ),
          (
            "matrix, scalar", { (.matrix($0), $1.base.map { .scalar($0) } ?? .matrix($1)) },
            { (a[$0 * columns + $1], b[0]) }
          ),
        ]
      for (name, operands, pick) in forms {
        let wanted = expected(pick)
        for pool in [oneThread, twoThreads] {
          for (set, found) in onEveryInstructionSet({ () -> [Float] in
            var y = [Float](repeating: 0, count: rows * columns)
            a.asMatrix(rows, columns) { left in
              b.asMatrix(rows, columns) { right in
                let (p, q) = operands(left, right)
                y.asMutableMatrix(rows, columns) { Kernels.binary(operation, p, q, into: $0, pool: pool) }
              }
            }
            return y
          }) {
            #expect(firstDifference(canonicalBits(found), wanted) == nil, "\(set), \(name)")
          }
        }
      }
    }

    @Test("of two numbers are those of IEEE 754 and, for power, C99")
    func binaryValues() {
      var numbers = SeededNumbers(seed: 9)
      let special: [Float] = [
        0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, .infinity, -.infinity, .nan, 1e30, -1e30, 2.5, -2.5, 0x1p-140,
      ]
      var a = special.flatMap { x in special.map { _ in x } }, b = special.flatMap { _ in special }
      for _ in 0..<3000 {
        a.append(numbers.anyFloat())
        b.append(numbers.number() * 4)
      }
      let references: [(BinaryOperation, (Float, Float) -> Float)] = [
        (.add, { $0 + $1 }), (.subtract, { $0 - $1 }), (.multiply, { $0 * $1 }), (.divide, { $0 / $1 }),
        (.maximum, { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }),
        (.minimum, { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }),
        (.power, { Float(pow(Double($0), Double($1))) }),
      ]
      for (operation, reference) in references {
        for ((x, y), z) in zip(zip(a, b), apply(operation, a, b)) {
          let wanted = reference(x, y)
          #expect(z == wanted || (z.isNaN && wanted.isNaN), "\(operation)(\(x), \(y)) = \(z), not \(wanted)")
        }
      }
    }
  }
}
