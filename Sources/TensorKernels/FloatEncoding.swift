import CTensorKernels

/// How a floating-point number is stored.
public enum FloatEncoding: Int32, CaseIterable, Sendable {
  /// IEEE 754 binary32.
  case float32 = 0
  /// IEEE 754 binary16.
  case float16 = 1
  /// The upper half of binary32.
  case bfloat16 = 2
  /// IEEE 754 binary64.
  case float64 = 3
  /// 8 bits: sign, 4 of exponent (bias 7), 3 of mantissa; no infinity, NaN is `S.1111.111` (OCP FP8, E4M3).
  case float8E4M3FN = 4
  /// 8 bits: sign, 5 of exponent (bias 15), 2 of mantissa (OCP FP8, E5M2).
  case float8E5M2 = 5

  /// Bytes per element.
  public var byteCount: Int { pollard_type_size(rawValue) }

  /// Decodes as many elements as `destination` holds. Exact, except float64, which rounds to nearest even.
  ///
  /// - Precondition: `source` holds at least `destination.count` elements; it needs no alignment.
  public func decode(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Float>) {
    precondition(source.count / byteCount >= destination.count, "the source is shorter than the destination")
    guard destination.count > 0 else { return }
    pollard_convert_to_f32(rawValue, source.baseAddress, destination.baseAddress, destination.count)
  }

  /// Encodes all of `source`, rounding to nearest even.
  ///
  /// NaN stays NaN; overflow becomes infinity, in `float8E4M3FN` NaN.
  ///
  /// - Precondition: `destination` has room for `source.count` elements.
  public func encode(_ source: UnsafeBufferPointer<Float>, into destination: UnsafeMutableRawBufferPointer) {
    precondition(destination.count / byteCount >= source.count, "the destination is shorter than the source")
    guard source.count > 0 else { return }
    pollard_convert_from_f32(rawValue, source.baseAddress, destination.baseAddress, source.count)
  }
}
