#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// e^x in double precision.
func exponential(_ x: Double) -> Double { exp(x) }

/// ln x in double precision.
func logarithm(_ x: Double) -> Double { log(x) }

/// tanh x in double precision.
func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
