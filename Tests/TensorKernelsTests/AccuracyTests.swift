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

/// The system's double-precision functions, against which float32 ones are measured: a few of their units in the last
/// place are nothing there.
private let references: [UnaryOperation: @Sendable (Double) -> Double] = [
  .reciprocal: { 1 / $0 }, .squareRoot: { $0.squareRoot() }, .exponential: { exp($0) }, .logarithm: { log($0) },
  .sine: { sin($0) }, .cosine: { cos($0) }, .tangent: { tan($0) }, .arcsine: { asin($0) }, .arccosine: { acos($0) },
  .arctangent: { atan($0) }, .hyperbolicSine: { sinh($0) }, .hyperbolicCosine: { cosh($0) },
  .hyperbolicTangent: { tanh($0) }, .inverseHyperbolicSine: { asinh($0) }, .inverseHyperbolicCosine: { acosh($0) },
  .inverseHyperbolicTangent: { atanh($0) }, .errorFunction: { erf($0) }, .exponentialMinusOne: { expm1($0) },
  .logarithmOfOnePlus: { log1p($0) }, .sigmoid: { 1 / (1 + exp(-$0)) }, .silu: { $0 / (1 + exp(-$0)) },
  .quickGelu: { $0 / (1 + exp(-1.702 * $0)) }, .geluExact: { 0.5 * $0 * erfc(-$0 * 0.5.squareRoot()) },
  .geluTanh: { $0 / (1 + exp(-(8 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) },
  .softplus: { max($0, 0) + log1p(exp(-abs($0))) }, .mish: { $0 * tanh(max($0, 0) + log1p(exp(-abs($0)))) },
]

/// Distance from the exact value in units of its last place; 0 when `found` is the float32 nearest to it.
private func ulps(_ found: Float, _ exact: Double) -> Double {
  let nearest = Float(exact)
  if found == nearest || (found.isNaN && nearest.isNaN) { return 0 }
  guard found.isFinite, nearest.isFinite else { return .infinity }
  return abs(Double(found) - exact) / Double(max(nearest.magnitude, .leastNormalMagnitude).ulp)
}

/// A double's function at one place, to 106 bits.
private struct KnownValue {
  var operands: [Double]
  var high: Double
  var low: Double

  /// As `ulps` of float32.
  func distance(of found: Double) -> Double {
    if found == high { return abs(low) / high.ulp }
    return abs((found - high) - low) / high.ulp
  }
}

private let repository = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }

private func lines(of path: String) throws -> [[Substring]] {
  let source = try FileSource(path: repository + "/" + path)
  return String(decoding: try source.bytes(0..<source.size), as: UTF8.self).split(separator: "\n").map {
    $0.split(separator: " ")
  }
}

private func knownValues() throws -> [String: [KnownValue]] {
  var result: [String: [KnownValue]] = [:]
  for words in try lines(of: "golden/functions/values.txt") {
    let numbers = words.dropFirst().compactMap { Double($0) }
    guard numbers.count == words.count - 1, numbers.count >= 3, let name = words.first else { continue }
    result[String(name), default: []].append(
      KnownValue(
        operands: Array(numbers.dropLast(2)), high: numbers[numbers.count - 2], low: numbers[numbers.count - 1]))
  }
  return result
}

extension KernelTests {
  @Suite("The accuracy of elementwise functions")
  struct AccuracyTests {
    @Test(
      "in float32 is within its bound over all exponents",
      arguments: UnaryOperation.allCases.filter { $0.accuracy != nil })
    func single(_ operation: UnaryOperation) throws {
      let bound = try #require(operation.accuracy).single
      let reference = try #require(references[operation])
      #if DEBUG
        let step: UInt32 = 1_000_003
      #else
        let step: UInt32 = 1009
      #endif
      let inputs = stride(from: UInt32(0), through: .max - step, by: Int(step)).map { Float(bitPattern: $0) }
        .filter { !(operation == .exponential && $0 < -87.33654) && $0 != -.infinity }
      var worst = (0.0, Float(0))
      for (x, y) in zip(inputs, apply(operation, inputs)) {
        let distance = ulps(y, reference(Double(x)))
        if distance > worst.0 { worst = (distance, x) }
      }
      #expect(worst.0 <= bound, "worst at \(worst.1)")
    }

    @Test("in double is within its bound at known values", arguments: InstructionSet.available)
    func double(_ set: InstructionSet) throws {
      let known = try knownValues()
      using(set) {
        for operation in UnaryOperation.allCases {
          guard let bound = operation.accuracy?.double else { continue }
          let values = known["\(operation)"] ?? []
          #expect(values.count >= 50, "\(operation)")
          for value in values {
            let found = Kernels.unary(operation, value.operands[0])
            #expect(value.distance(of: found) <= bound, "\(operation) of \(value.operands[0]) is \(found)")
          }
        }
        for value in known["power"] ?? [] {
          let found = Kernels.power(value.operands[0], value.operands[1])
          #expect(value.distance(of: found) <= BinaryOperation.power.accuracy?.double ?? 0, "\(value.operands)")
        }
      }
    }

    @Test("is what the written table measured, or better than the bound")
    func table() throws {
      var rows: [String: (single: Double, double: Double)] = [:]
      for words in try lines(of: "formats/accuracy.md") where words.count == 11 && words[0] == "|" {
        if let single = Double(words[3]), let double = Double(words[7]) { rows[String(words[1])] = (single, double) }
      }
      let bounds =
        UnaryOperation.allCases.compactMap { operation in operation.accuracy.map { ("\(operation)", $0) } }
        + BinaryOperation.allCases.compactMap { operation in operation.accuracy.map { ("\(operation)", $0) } }
      #expect(Set(rows.keys) == Set(bounds.map(\.0)))
      for (name, bound) in bounds {
        let row = try #require(rows[name], "\(name)")
        #expect(row.single <= bound.single, "\(name)")
        #expect(row.double <= bound.double, "\(name)")
      }
    }

    @Test("of double functions keeps zeros, infinities and NaN, as float32 functions do")
    func specialDoubles() {
      let odd: Set<UnaryOperation> = [
        .sine, .tangent, .arcsine, .arctangent, .hyperbolicSine, .hyperbolicTangent, .inverseHyperbolicSine,
        .inverseHyperbolicTangent, .errorFunction, .exponentialMinusOne, .logarithmOfOnePlus, .geluExact, .geluTanh,
        .silu, .quickGelu, .mish, .sign, .copy,
      ]
      for operation in UnaryOperation.allCases {
        #expect(Kernels.unary(operation, .nan).isNaN, "\(operation)")
        let single = apply(operation, [0, -0.0, .infinity, -.infinity])
        let places: [Double] = [0, -0.0, .infinity, -.infinity]
        for (x, y) in zip(places, single) {
          let found = Kernels.unary(operation, x)
          #expect(found.isNaN == y.isNaN && found.sign == y.sign || found.isNaN && y.isNaN, "\(operation) of \(x)")
          #expect(found.isNaN || found.isInfinite == y.isInfinite, "\(operation) of \(x)")
          if odd.contains(operation), x == 0 { #expect(found == 0 && found.sign == x.sign, "\(operation)") }
        }
      }
      #expect(Kernels.unary(.exponential, -800) == 0)
      #expect(Kernels.unary(.exponential, 709.8).isInfinite)
      #expect(Kernels.unary(.exponential, -745) == .leastNonzeroMagnitude)
      #expect(Kernels.unary(.logarithm, .leastNonzeroMagnitude) == -744.4400719213812)
      #expect(Kernels.unary(.sine, 1e22) == -0.8522008497671888)
    }

    @Test("of powers of doubles follows C99 in its special cases")
    func specialPowers() {
      let special: [Double] = [
        0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, .infinity, -.infinity, .nan, 1e300, -1e300, 2.5, -2.5,
        .leastNonzeroMagnitude,
      ]
      for x in special {
        for y in special {
          let (found, wanted) = (Kernels.power(x, y), pow(x, y))
          #expect(
            found == wanted && found.sign == wanted.sign || found.isNaN && wanted.isNaN, "\(x) to \(y) is \(found)")
        }
      }
    }

    @Test(
      "of doubles does not depend on the place, the instruction set or the threads", arguments: UnaryOperation.allCases)
    func placesOfDoubles(_ operation: UnaryOperation) {
      var numbers = SeededNumbers(seed: UInt64(operation.rawValue) + 500)
      let x = (0..<1501).map { index in
        index % 3 == 0 ? Double(bitPattern: numbers.next()) : Double(numbers.anyFloat()) * 1.0001
      }
      func bits(_ values: [Double]) -> [UInt64] { values.map { $0.isNaN ? 0x7ff8_0000_0000_0000 : $0.bitPattern } }
      func all(_ x: ArraySlice<Double>, _ pool: ThreadPool) -> [Double] {
        var y = [Double](repeating: 0, count: x.count)
        x.withUnsafeBufferPointer { from in
          y.withUnsafeMutableBufferPointer { Kernels.unary(operation, from, into: $0, pool: pool) }
        }
        return y
      }
      let single = using(.portable) { bits(x.map { Kernels.unary(operation, $0) }) }
      for (set, rows) in onEveryInstructionSet({ [all(x[...], twoThreads), all(x[7...], oneThread)] }) {
        #expect(bits(rows[0]) == single, "\(set), seed \(operation.rawValue + 500)")
        #expect(bits(rows[1]) == Array(single[7...]), "\(set), seed \(operation.rawValue + 500)")
      }
    }
  }
}
