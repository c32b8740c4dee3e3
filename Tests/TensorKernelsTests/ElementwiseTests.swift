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

private func apply(_ operation: UnaryOperation, _ x: [Float], pool: ThreadPool = oneThread) -> [Float] {
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

/// Distance in units of the last place of the float32 nearest to `exact`; 0 when `found` is that float32.
private func ulps(_ found: Float, _ exact: Double) -> Double {
  let nearest = Float(exact)
  if found == nearest || (found.isNaN && nearest.isNaN) { return 0 }
  guard found.isFinite, nearest.isFinite else { return .infinity }
  return abs(Double(found) - exact) / Double(max(nearest.magnitude, .leastNormalMagnitude).ulp)
}

struct AccuracyCase: Sendable, CustomTestStringConvertible {
  var operation: UnaryOperation
  var limit: Double
  var range: ClosedRange<Float>
  var reference: @Sendable (Double) -> Double
  var testDescription: String { "\(operation) within \(limit) ULP" }
}

private let accuracyCases = [
  AccuracyCase(operation: .exponential, limit: 1.01, range: -87.33654...100, reference: { exp($0) }),
  AccuracyCase(operation: .logarithm, limit: 0.8, range: 0...3e38, reference: { log($0) }),
  AccuracyCase(operation: .sine, limit: 0.51, range: -1e6...1e6, reference: { sin($0) }),
  AccuracyCase(operation: .cosine, limit: 0.51, range: -1e6...1e6, reference: { cos($0) }),
  AccuracyCase(operation: .sine, limit: 0.51, range: -0x1p30...0x1p30, reference: { sin($0) }),
  AccuracyCase(operation: .errorFunction, limit: 1.05, range: -3e38...3e38, reference: { erf($0) }),
  AccuracyCase(operation: .hyperbolicTangent, limit: 1.35, range: -3e38...3e38, reference: { tanh($0) }),
  AccuracyCase(operation: .sigmoid, limit: 2.35, range: -87...3e38, reference: { 1 / (1 + exp(-$0)) }),
  AccuracyCase(operation: .squareRoot, limit: 0.5, range: 0...3e38, reference: { $0.squareRoot() }),
  AccuracyCase(operation: .reciprocal, limit: 0.5, range: 1e-37...3e38, reference: { 1 / $0 }),
]

extension KernelTests {
  @Suite("Elementwise functions")
  struct ElementwiseTests {
    @Test("stay within their error bounds over all exponents", arguments: accuracyCases)
    func accuracy(_ test: AccuracyCase) {
      #if DEBUG
        let step: UInt32 = 1_000_003
      #else
        let step: UInt32 = 1009
      #endif
      let inputs = stride(from: UInt32(0), through: .max - step, by: Int(step))
        .map { Float(bitPattern: $0) }.filter { test.range.contains($0) }
      var worst = (0.0, Float(0))
      for (x, y) in zip(inputs, apply(test.operation, inputs)) {
        let distance = ulps(y, test.reference(Double(x)))
        if distance > worst.0 { worst = (distance, x) }
      }
      #expect(worst.0 <= test.limit, "worst at \(worst.1)")
    }

    @Test("of activations agree with double precision to a few roundings")
    func activations() {
      let x = stride(from: Float(-30), through: 30, by: 0.0037).map { $0 }
      let root = (2 / Double.pi).squareRoot()
      let references: [(UnaryOperation, (Double) -> Double)] = [
        (.geluExact, { 0.5 * $0 * erfc(-$0 * 0.5.squareRoot()) }),
        (.geluTanh, { 0.5 * $0 * (1 + tanh(root * ($0 + 0.044715 * $0 * $0 * $0))) }),
        (.silu, { $0 / (1 + exp(-$0)) }), (.quickGelu, { $0 / (1 + exp(-1.702 * $0)) }),
        (.softplus, { max($0, 0) + log1p(exp(-abs($0))) }),
      ]
      for (operation, reference) in references {
        for (x, y) in zip(x, apply(operation, x)) {
          let exact = reference(Double(x))
          #expect(abs(Double(y) - exact) <= 3e-7 * max(1, abs(Double(x))), "\(operation) of \(x)")
        }
      }
    }

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
