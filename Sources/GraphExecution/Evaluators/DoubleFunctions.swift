import TensorKernels

// The kernels' functions for one double each: the same bits on every system, which its mathematical library would not give.

/// e^x
func exponential(_ x: Double) -> Double { Kernels.unary(.exponential, x) }

/// ln x
func logarithm(_ x: Double) -> Double { Kernels.unary(.logarithm, x) }

/// tanh x
func hyperbolicTangent(_ x: Double) -> Double { Kernels.unary(.hyperbolicTangent, x) }

/// x^y
func raised(_ x: Double, to y: Double) -> Double { Kernels.power(x, y) }

/// The cosine of an angle of any size.
func cosine(_ x: Double) -> Double { Kernels.unary(.cosine, x) }

/// The sine of an angle of any size.
func sine(_ x: Double) -> Double { Kernels.unary(.sine, x) }
