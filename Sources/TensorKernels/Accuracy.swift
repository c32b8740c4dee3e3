/// The largest error of a kernel's function, in units of the last place of the exact value.
package struct AccuracyBound: Sendable {
  /// In float32, over every number but NaN.
  package var single: Double
  /// In double.
  package var double: Double
}

extension UnaryOperation {
  /// What the tests hold the function to; nil where the result is exact by definition.
  package var accuracy: AccuracyBound? {
    switch self {
    case .copy, .negate, .absolute, .floor, .ceil, .round, .sign, .relu: nil
    case .reciprocal, .squareRoot: AccuracyBound(single: 0.5, double: 0.5)
    case .exponential: AccuracyBound(single: 1.05, double: 0.8)
    case .logarithm: AccuracyBound(single: 0.85, double: 0.85)
    case .sine, .cosine: AccuracyBound(single: 0.51, double: 0.85)
    case .errorFunction: AccuracyBound(single: 1.1, double: 1.1)
    case .hyperbolicTangent: AccuracyBound(single: 1.4, double: 2.5)
    case .sigmoid, .tangent: AccuracyBound(single: 0.51, double: 2.25)
    case .geluExact: AccuracyBound(single: 0.56, double: 4.5)
    case .geluTanh, .silu: AccuracyBound(single: 0.51, double: 2.75)
    case .quickGelu: AccuracyBound(single: 0.51, double: 3)
    case .softplus: AccuracyBound(single: 0.51, double: 1.6)
    case .mish: AccuracyBound(single: 0.51, double: 4)
    case .arcsine, .arccosine: AccuracyBound(single: 0.51, double: 0.75)
    case .arctangent, .logarithmOfOnePlus: AccuracyBound(single: 0.51, double: 0.9)
    case .hyperbolicSine: AccuracyBound(single: 0.51, double: 2.1)
    case .hyperbolicCosine, .exponentialMinusOne: AccuracyBound(single: 0.51, double: 1.25)
    case .inverseHyperbolicSine, .inverseHyperbolicCosine, .inverseHyperbolicTangent:
      AccuracyBound(single: 0.51, double: 1.75)
    }
  }
}

extension BinaryOperation {
  /// As for functions of one number; nil where the result is exact or correctly rounded by the arithmetic itself.
  package var accuracy: AccuracyBound? { self == .power ? AccuracyBound(single: 0.51, double: 1.25) : nil }
}
