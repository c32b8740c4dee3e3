import CTensorKernels

/// An instruction set that the kernels are compiled for. Every one gives the same bits.
public enum InstructionSet: Int32, CaseIterable, Sendable {
  /// Plain C: fused multiply-add through the mathematical library. Slow, runs everywhere.
  case portable = 0
  /// x86-64 with AVX2, FMA and F16C.
  case avx2 = 1
  /// x86-64 with AVX-512 F, BW, VL and DQ.
  case avx512 = 2
  /// 64-bit ARM.
  case neon = 3

  /// Whether this machine can run it.
  public var isAvailable: Bool { pollard_isa_available(rawValue) != 0 }

  /// Those this machine can run, portable first.
  public static var available: [InstructionSet] { allCases.filter(\.isAvailable) }

  /// The one in use: the fastest available one until `select()` is called.
  public static var current: InstructionSet { InstructionSet(rawValue: pollard_isa_current()) ?? .portable }

  /// Uses this instruction set from now on, in the whole process.
  ///
  /// - Returns: false, and nothing changes, when it is not available.
  @discardableResult
  public func select() -> Bool { pollard_isa_select(rawValue) != 0 }
}
