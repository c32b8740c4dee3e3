import PollardBase
import TensorKernels

// Kernels give the same bits on every system, which its mathematical library would not; in single precision they are rounded
// once from double.

func naturalLogarithm(_ value: Double) -> Double { Kernels.unary(.logarithm, value) }
/// `2^value`.
func binaryExponential(_ value: Double) -> Double { Kernels.power(2, value) }
/// `base^power` in single precision.
func singlePower(_ base: Float, _ power: Float) -> Float { Float(Kernels.power(Double(base), Double(power))) }
/// The natural logarithm in single precision.
func singleLogarithm(_ value: Float) -> Float { Float(naturalLogarithm(Double(value))) }

/// Inverse frequencies of rotary position embeddings, in single precision step by step as transformers computes them.
package enum RotaryFrequencies {
  /// `θ^(-2i / headDim)` for i from 0 to headDim / 2 - 1 (Su et al. 2021, eq. 15).
  package static func unscaled(theta: Double, headDim: Int) -> [Float] {
    exponents(headDim).map { 1 / singlePower(Float(theta), $0) }
  }

  /// `2i / headDim`.
  package static func exponents(_ headDim: Int) -> [Float] {
    (0..<headDim / 2).map { Float(2 * $0) / Float(headDim) }
  }

  /// The frequencies of a stretching that does not depend on the text; nil for one that does.
  package static func values(_ rotary: RotaryConfiguration, headDim: Int) -> [Float]? {
    let plain = unscaled(theta: rotary.theta, headDim: headDim)
    switch rotary.scaling {
    case .unscaled: return plain
    case .linear(let factor): return plain.map { $0 / Float(factor) }
    case .llama3(let factor, let low, let high, let length):
      return plain.map { llama3($0, Float(factor), low, high, Double(length)) }
    case .yarn(let factor, let fast, let slow, let length, let truncates):
      return yarn(rotary.theta, headDim, Float(factor), fast, slow, Double(length), truncates)
    case .dynamic, .longRope: return nil
    }
  }

  /// One list of the long-text stretching: `1 / (factor_i · θ^(2i / headDim))`.
  package static func longRope(theta: Double, factors: [Double], headDim: Int) -> [Float] {
    zip(exponents(headDim), factors).map { 1 / (Float($1) * singlePower(Float(theta), $0)) }
  }

  /// Wavelengths above `length / low` are divided, those below `length / high` kept, the ones between blended.
  private static func llama3(_ value: Float, _ factor: Float, _ low: Double, _ high: Double, _ length: Double) -> Float
  {
    let wavelength = Float(2 * Double.pi) / value
    let stretched = wavelength > Float(length / low) ? value / factor : value
    if wavelength < Float(length / high) || wavelength > Float(length / low) { return stretched }
    let smooth = (Float(length) / wavelength - Float(low)) / Float(high - low)
    return (1 - smooth) * stretched / factor + smooth * stretched
  }

  /// Peng et al. 2023 (YaRN), eq. 18 to 23.
  private static func yarn(
    _ theta: Double, _ headDim: Int, _ factor: Float, _ fast: Double, _ slow: Double, _ length: Double,
    _ truncates: Bool
  ) -> [Float] {
    func correction(_ rotations: Double) -> Double {
      (Double(headDim) * naturalLogarithm(length / (rotations * 2 * Double.pi))) / (2 * naturalLogarithm(theta))
    }
    var low = correction(fast)
    var high = correction(slow)
    if truncates {
      low = low.rounded(.down)
      high = high.rounded(.up)
    }
    low = max(low, 0)
    high = min(high, Double(headDim - 1))
    // A ramp of no width would divide by zero.
    if low == high { high += 0.001 }
    return exponents(headDim).enumerated().map { index, exponent in
      let ramp = min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
      let kept = 1 - ramp
      let wave = singlePower(Float(theta), exponent)
      return (1 / (factor * wave)) * (1 - kept) + (1 / wave) * kept
    }
  }
}
