import TensorKernels
import TensorStorage

/// The numbers that a floating-point type of 16 bits or less can hold, and how others are rounded to them.
///
/// Sources: IEEE 754-2019; Micikevicius et al. 2022, "FP8 Formats for Deep Learning"; Noune et al. 2022, "8-bit Numerical Formats for
/// Deep Neural Networks"; OCP Microscaling Formats (MX) 1.0; ONNX Cast-25, table of special values.
struct NarrowRounding: Sendable {
  let fractionBits: Int
  /// The exponent of the least normal number.
  let leastExponent: Int
  let largest: Float
  /// What lies beyond the largest number where it is not held there.
  let overflow: Float
  /// What stands for NaN; types without a code for it take the one of negative zero, as ONNX's evaluator does.
  var notANumber = Float.nan
  var hasNegativeZero = true

  init?(_ type: ElementType) {
    switch type {
    case .f16: self.init(10, -14, 65504, overflow: .infinity)
    case .bf16: self.init(7, -126, 0x1.FEp127, overflow: .infinity)
    case .f8e5m2: self.init(2, -14, 57344, overflow: .infinity)
    case .f8e4m3: self.init(3, -6, 448, overflow: .nan)
    case .f8e4m3fnuz: self.init(3, -7, 240, overflow: .nan, hasNegativeZero: false)
    case .f8e5m2fnuz: self.init(2, -15, 57344, overflow: .nan, hasNegativeZero: false)
    case .f6e2m3: self.init(3, 0, 7.5, overflow: 7.5, notANumber: -0.0)
    case .f6e3m2: self.init(2, -2, 28, overflow: 28, notANumber: -0.0)
    case .f4: self.init(1, 0, 6, overflow: 6, notANumber: -0.0)
    default: return nil
    }
  }

  private init(
    _ fractionBits: Int, _ leastExponent: Int, _ largest: Float, overflow: Float, notANumber: Float = .nan,
    hasNegativeZero: Bool = true
  ) {
    self.fractionBits = fractionBits
    self.leastExponent = leastExponent
    self.largest = largest
    self.overflow = overflow
    self.notANumber = notANumber
    self.hasNegativeZero = hasNegativeZero
  }

  /// The nearest number that the type holds, ties to even.
  ///
  /// - Parameter saturates: whether numbers beyond the largest become the largest.
  func callAsFunction(_ value: Double, saturates: Bool = false) -> Float {
    if value.isNaN { return notANumber }
    let magnitude = abs(value)
    var result = largest
    if magnitude.isFinite {
      let exponent = max(magnitude == 0 ? leastExponent : Int(magnitude.exponent), leastExponent) - fractionBits
      let step = Double(sign: .plus, exponent: exponent, significand: 1)
      let nearest = (magnitude / step).rounded(.toNearestOrEven) * step
      result = nearest > Double(largest) ? (saturates ? largest : overflow) : Float(nearest)
    } else if !saturates {
      result = overflow
    }
    if result == 0, !hasNegativeZero { return 0 }
    return value.sign == .minus ? -result : result
  }
}

/// A power of two from 2^-127 to 2^127, as `e8m0` holds it: how others are rounded to it.
enum PowerOfTwoRounding: String, Sendable {
  case up, down, nearest

  func callAsFunction(_ value: Double, saturates: Bool = true) -> Float {
    if value.isNaN { return .nan }
    let magnitude = abs(value)
    let largest = Float(sign: .plus, exponent: 127, significand: 1)
    if magnitude > Double(largest) { return saturates ? largest : .nan }
    let least = Float(sign: .plus, exponent: -127, significand: 1)
    if magnitude <= Double(least) { return least }
    let floor = Double(sign: .plus, exponent: Int(magnitude.exponent), significand: 1)
    if floor == magnitude { return Float(floor) }
    switch self {
    case .down: return Float(floor)
    case .up: return Float(min(floor * 2, Double(largest)))
    case .nearest: return Float(magnitude / floor >= 1.5 ? min(floor * 2, Double(largest)) : floor)
    }
  }
}

extension Tensor {
  /// The numbers as a type holds them, declared to be of it; only F32 memory of floating-point types is rounded.
  func rounded(to declared: ElementType, _ memory: Memory) throws -> Tensor {
    if declaredType == declared { return self }
    if declared == type || type != .f32 { return self.declared(declared) }
    if let encoding = declared == .f16 ? FloatEncoding.float16 : declared == .bf16 ? .bfloat16 : nil {
      return try rounded(encoding, declared, memory)
    }
    if declared == .f8e8m0 {
      return try map(memory) { (value: Float) in PowerOfTwoRounding.up(Double(value)) }.declared(declared)
    }
    guard let format = NarrowRounding(declared) else { return self.declared(declared) }
    return try map(memory) { (value: Float) in format(Double(value)) }.declared(declared)
  }

  private func rounded(_ encoding: FloatEncoding, _ declared: ElementType, _ memory: Memory) throws -> Tensor {
    let dense = contiguous(memory)
    let result = try memory.tensor(.f32, extents, as: declared)
    let step = 1 << 14
    let total = elementCount
    nonisolated(unsafe) let from = dense.pointer(Float.self)
    nonisolated(unsafe) let to = result.written(Float.self)
    forEachStep((total + step - 1) / step, size: step, memory.pool) { part in
      let count = min(step, total - part * step)
      withUnsafeTemporaryAllocation(byteCount: count * encoding.byteCount, alignment: 64) { bytes in
        encoding.encode(UnsafeBufferPointer(start: from + part * step, count: count), into: bytes)
        encoding.decode(
          UnsafeRawBufferPointer(bytes), into: UnsafeMutableBufferPointer(start: to + part * step, count: count))
      }
    }
    withExtendedLifetime(dense.buffer) {}
    return result
  }
}
