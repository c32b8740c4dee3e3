/// How a floating-point type of 8 or 16 bits lays out sign, exponent and significand.
///
/// Sources: IEEE 754-2019 (half precision); Micikevicius et al. 2022, "FP8 Formats for Deep Learning" (`e5m2`, `e4m3`);
/// Noune et al. 2022, "8-bit Numerical Formats for Deep Neural Networks" (the `fnuz` flavours).
struct NarrowFloat: Sendable {
  let exponentBits: Int
  let significandBits: Int
  let bias: Int
  /// How the codes beyond the finite numbers are used.
  let extremes: Extremes

  enum Extremes: Sendable {
    /// The largest exponent holds infinities and NaN.
    case infinityAndNaN
    /// No infinities; NaN is all ones, with either sign.
    case allOnesNaN
    /// No infinities and no negative zero, whose code is the only NaN.
    case negativeZeroNaN
  }

  static let f16 = NarrowFloat(exponentBits: 5, significandBits: 10, bias: 15, extremes: .infinityAndNaN)
  static let bf16 = NarrowFloat(exponentBits: 8, significandBits: 7, bias: 127, extremes: .infinityAndNaN)
  static let f8e5m2 = NarrowFloat(exponentBits: 5, significandBits: 2, bias: 15, extremes: .infinityAndNaN)
  static let f8e4m3 = NarrowFloat(exponentBits: 4, significandBits: 3, bias: 7, extremes: .allOnesNaN)
  static let f8e4m3fnuz = NarrowFloat(exponentBits: 4, significandBits: 3, bias: 8, extremes: .negativeZeroNaN)
  static let f8e5m2fnuz = NarrowFloat(exponentBits: 5, significandBits: 2, bias: 16, extremes: .negativeZeroNaN)

  /// The sign bit of a code.
  private var signBit: UInt32 { 1 << UInt32(exponentBits + significandBits) }

  /// The largest finite magnitude's code.
  private var largestFinite: UInt32 {
    switch extremes {
    case .infinityAndNaN: signBit - (1 << UInt32(significandBits)) - 1
    case .allOnesNaN: signBit - 2
    case .negativeZeroNaN: signBit - 1
    }
  }

  /// The value of a code, exactly.
  func value(of code: UInt32) -> Float {
    let sign: UInt32 = code & signBit == 0 ? 0 : 0x8000_0000
    let magnitude = code & (signBit - 1)
    if extremes == .negativeZeroNaN, code == signBit { return .nan }
    if magnitude > largestFinite {
      if extremes == .infinityAndNaN, magnitude == largestFinite + 1 { return Float(bitPattern: sign | 0x7F80_0000) }
      // The payload keeps its leading bits, as a widening in hardware does; the quiet bit is set.
      let payload = (magnitude & ((1 << UInt32(significandBits)) - 1)) << UInt32(23 - significandBits)
      return Float(bitPattern: sign | 0x7FC0_0000 | payload)
    }
    let exponent = Int(magnitude >> UInt32(significandBits))
    let fraction = magnitude & ((1 << UInt32(significandBits)) - 1)
    if exponent == 0 {
      // A product of an integer and a power of two that single precision holds exactly.
      let scaled = Float(fraction) * Float(sign: .plus, exponent: max(-126, 1 - bias), significand: 1)
      let value = scaled * Float(sign: .plus, exponent: -significandBits, significand: 1)
      return Float(bitPattern: value.bitPattern | sign)
    }
    let bits = UInt32(exponent - bias + 127) << 23 | fraction << UInt32(23 - significandBits)
    return Float(bitPattern: sign | bits)
  }

  /// The code of the nearest value, ties to even.
  func code(for value: Float) -> UInt32 {
    let bits = value.bitPattern
    let sign: UInt32 = bits & 0x8000_0000 == 0 ? 0 : signBit
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 {
      switch extremes {
      case .infinityAndNaN:
        let payload = (magnitude >> UInt32(23 - significandBits)) & ((1 << UInt32(significandBits)) - 1)
        return sign | (largestFinite + 1) | payload | (1 << UInt32(significandBits - 1))
      case .allOnesNaN: return sign | (signBit - 1)
      case .negativeZeroNaN: return signBit
      }
    }
    let beyond: UInt32
    switch extremes {
    case .infinityAndNaN: beyond = sign | (largestFinite + 1)
    case .allOnesNaN: beyond = sign | (signBit - 1)
    case .negativeZeroNaN: beyond = signBit
    }
    if magnitude == 0x7F80_0000 { return beyond }
    let exponent = max(Int(magnitude >> 23), 1) - 127
    let significand = magnitude >> 23 == 0 ? magnitude : (magnitude & 0x7F_FFFF) | 0x80_0000
    let least = 1 - bias
    let shift = UInt64(min(23 - significandBits + max(0, least - exponent), 26))
    let wide = UInt64(significand)
    let rounded = UInt32(truncatingIfNeeded: (wide + (1 << (shift - 1)) - 1 + (wide >> shift & 1)) >> shift)
    // Below the least exponent the count of steps is the code; above it each exponent adds its number of steps.
    let code = exponent > least ? UInt32(exponent - least) << UInt32(significandBits) + rounded : rounded
    if code > largestFinite { return beyond }
    if code == 0, extremes == .negativeZeroNaN { return 0 }
    return sign | code
  }
}

extension ElementType {
  /// The layout of a floating-point type of 8 or 16 bits with a sign.
  var narrowFloat: NarrowFloat? {
    switch self {
    case .f16: .f16
    case .bf16: .bf16
    case .f8e5m2: .f8e5m2
    case .f8e4m3: .f8e4m3
    case .f8e4m3fnuz: .f8e4m3fnuz
    case .f8e5m2fnuz: .f8e5m2fnuz
    default: nil
    }
  }
}

/// Single precision rounded to odd: inexact results get an odd significand, so that a second rounding to fewer bits is
/// as if there had been one (Boldo & Melquiond 2008, "Emulation of a FMA and correctly rounded sums").
func roundedToOdd(_ value: Double) -> Float {
  let nearest = Float(value)
  if Double(nearest) == value || value.isNaN { return nearest }
  if nearest.isInfinite { return value > 0 ? .greatestFiniteMagnitude : -.greatestFiniteMagnitude }
  if nearest.bitPattern & 1 == 1 { return nearest }
  return Double(nearest) < value ? nearest.nextUp : nearest.nextDown
}

/// An integer in double precision rounded to odd.
func roundedToOdd<Value: FixedWidthInteger>(_ value: Value) -> Double {
  let nearest = Double(value)
  if let exact = Value(exactly: nearest), exact == value { return nearest }
  if nearest.bitPattern & 1 == 1 { return nearest }
  // Integers of 64 bits that are not exact are far from zero, and 2^64 itself rounds from below.
  let isBelow = Value(exactly: nearest).map { $0 < value } ?? false
  return isBelow ? nearest.nextUp : nearest.nextDown
}
