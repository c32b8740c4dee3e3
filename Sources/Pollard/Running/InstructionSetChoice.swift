import TensorKernels

/// The instruction sets whose kernels this machine can run: `portable`, `avx2`, `avx512`, `neon`.
public var availableInstructionSets: [String] { InstructionSet.available.map { "\($0)" } }

/// Uses the kernels of one instruction set from now on, in the whole process. Every one gives the same bits, so this serves
/// to show that, and to tell which is at fault where it does not hold.
///
/// - Returns: false, and nothing changes, when this machine cannot run it.
@discardableResult
public func selectInstructionSet(_ name: String) -> Bool {
  InstructionSet.available.first { "\($0)" == name }?.select() ?? false
}
