import TensorKernels
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A small float format by its definition.
struct SmallFormat: Sendable, CustomTestStringConvertible {
  var encoding: FloatEncoding
  var exponentBits: Int
  var mantissaBits: Int
  var hasInfinity = true
  var bits: Int { 1 + exponentBits + mantissaBits }
  var bias: Int { (1 << (exponentBits - 1)) - 1 }
  var testDescription: String { "\(encoding)" }

  /// The value of a pattern: sign · 2^(e - bias) · (1 + m / 2^mantissaBits), subnormal below.
  func value(_ pattern: Int) -> Double {
    let mantissa = pattern & ((1 << mantissaBits) - 1)
    let exponent = (pattern >> mantissaBits) & ((1 << exponentBits) - 1)
    let sign = pattern >> (bits - 1) == 0 ? 1.0 : -1.0
    if exponent == (1 << exponentBits) - 1 {
      if hasInfinity { return mantissa == 0 ? sign * .infinity : .nan }
      if mantissa == (1 << mantissaBits) - 1 { return .nan }
    }
    let fraction = Double(mantissa) / Double(1 << mantissaBits)
    if exponent == 0 { return sign * scalbn(fraction, 1 - bias) }
    return sign * scalbn(1 + fraction, exponent - bias)
  }

  func decode(_ patterns: [Int]) -> [Float] {
    var values = [Float](repeating: 0, count: patterns.count)
    func decode<Pattern: FixedWidthInteger>(_ type: Pattern.Type) {
      patterns.map { Pattern(truncatingIfNeeded: $0) }.withUnsafeBytes { raw in
        values.withUnsafeMutableBufferPointer { encoding.decode(raw, into: $0) }
      }
    }
    if bits == 8 { decode(UInt8.self) } else { decode(UInt16.self) }
    return values
  }

  func encode(_ values: [Float]) -> [Int] {
    func encode<Pattern: FixedWidthInteger>(_ type: Pattern.Type) -> [Int] {
      var patterns = [Pattern](repeating: 0, count: values.count)
      patterns.withUnsafeMutableBytes { raw in values.withUnsafeBufferPointer { encoding.encode($0, into: raw) } }
      return patterns.map { Int($0) }
    }
    return bits == 8 ? encode(UInt8.self) : encode(UInt16.self)
  }
}

private let formats = [
  SmallFormat(encoding: .float16, exponentBits: 5, mantissaBits: 10),
  SmallFormat(encoding: .bfloat16, exponentBits: 8, mantissaBits: 7),
  SmallFormat(encoding: .float8E5M2, exponentBits: 5, mantissaBits: 2),
  SmallFormat(encoding: .float8E4M3FN, exponentBits: 4, mantissaBits: 3, hasInfinity: false),
]

extension KernelTests {
  @Suite("Conversions")
  struct ConversionTests {
    @Test("decode every pattern to its definition", arguments: formats)
    func decoding(format: SmallFormat) {
      let patterns = Array(0..<(1 << format.bits))
      for (set, values) in onEveryInstructionSet({ format.decode(patterns) }) {
        for (pattern, found) in zip(patterns, values) {
          let exact = Float(format.value(pattern))
          if found.isNaN && exact.isNaN { continue }
          if found.bitPattern != exact.bitPattern {
            Issue.record("\(set): pattern \(pattern) is \(exact), decoded as \(found)")
            return
          }
        }
      }
    }

    @Test("encode every representable value to its own pattern", arguments: formats)
    func roundTrip(format: SmallFormat) {
      let patterns = (0..<(1 << format.bits)).filter { !format.value($0).isNaN }
      let values = patterns.map { Float(format.value($0)) }
      for (set, found) in onEveryInstructionSet({ format.encode(values) }) { #expect(found == patterns, "\(set)") }
    }

    @Test("encode the value between two neighbours to the even one, and others to the nearer", arguments: formats)
    func rounding(format: SmallFormat) {
      let sign = 1 << (format.bits - 1)
      // The last finite pattern's upper neighbour is infinity (or NaN), as if the exponent went on.
      let finite = (0..<(sign - 1)).filter { format.value($0).isFinite && format.value($0 + 1).isFinite }
      var inputs: [Float] = [], expected: [Int] = []
      for pattern in finite {
        let middle = Float((format.value(pattern) + format.value(pattern + 1)) / 2)
        // bfloat16's smallest steps have no exact middle below float32's own subnormals, all others do.
        inputs += [middle, middle.nextDown, middle.nextUp, -middle, -middle.nextDown, -middle.nextUp]
        let even = pattern % 2 == 0 ? pattern : pattern + 1
        expected += [even, pattern, pattern + 1, even | sign, pattern | sign, (pattern + 1) | sign]
      }
      for (set, found) in onEveryInstructionSet({ format.encode(inputs) }) {
        if let wrong = found.indices.first(where: { found[$0] != expected[$0] }) {
          Issue.record("\(set): \(inputs[wrong]) became \(found[wrong]), not \(expected[wrong])")
        }
      }
    }

    @Test("overflow to infinity, or to NaN where there is none, and keep NaN", arguments: formats)
    func overflow(format: SmallFormat) {
      let sign = 1 << (format.bits - 1)
      let last = (0..<sign).last { format.value($0).isFinite } ?? 0
      // Half a step above the largest value: the tie goes to the even pattern, which is the one above for all
      // formats but E4M3FN, whose largest value has an even pattern.
      let edge = Float(format.value(last) + (format.value(last) - format.value(last - 1)) / 2)
      let above = last + 1
      let inputs: [Float] = [edge.nextDown, edge, edge.nextUp, 3.4e38, .infinity, -.infinity, .leastNonzeroMagnitude]
      let tie = last % 2 == 0 ? last : above
      let huge = format.encoding == .bfloat16 ? 0x7f80 : above
      let expected = [last, tie, above, huge, above, above | sign, 0]
      for (set, found) in onEveryInstructionSet({ format.encode(inputs) }) { #expect(found == expected, "\(set)") }
      let quiet = format.encode([.nan, -Float.nan, Float(bitPattern: 0x7f80_0001), Float(bitPattern: 0xffff_ffff)])
      #expect(quiet.allSatisfy { format.value($0).isNaN })
    }

    @Test("between float64 and float32 round once, to nearest even")
    func double() {
      let inputs: [Double] = [0, -0.0, 1 + 0x1p-24, 1 + 0x3p-24, 1e300, -1e-300, .infinity, 0x1p-149, 0x1p-150, 0.1]
      let expected: [Float] = [0, -0.0, 1, 1 + 0x1p-22, .infinity, -0.0, .infinity, 0x1p-149, 0, 0.1]
      for (set, found) in onEveryInstructionSet({ () -> ([Float], [Double]) in
        var narrow = [Float](repeating: 1, count: inputs.count)
        inputs.withUnsafeBytes { raw in
          narrow.withUnsafeMutableBufferPointer { FloatEncoding.float64.decode(raw, into: $0) }
        }
        var wide = [Double](repeating: 1, count: inputs.count)
        wide.withUnsafeMutableBytes { raw in
          narrow.withUnsafeBufferPointer { FloatEncoding.float64.encode($0, into: raw) }
        }
        return (narrow, wide)
      }) {
        #expect(firstDifference(canonicalBits(found.0), canonicalBits(expected)) == nil, "\(set)")
        #expect(found.1 == expected.map { Double($0) }, "\(set)")
      }
    }

    @Test("encode any bits alike on every instruction set", arguments: formats)
    func sameBits(format: SmallFormat) {
      var numbers = SeededNumbers(seed: 3)
      let values = (0..<20_011).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: numbers.next())) }
      let results = onEveryInstructionSet { format.encode(values) }
      for (set, found) in results { #expect(found == results[0].1, "\(set)") }
    }
  }
}
