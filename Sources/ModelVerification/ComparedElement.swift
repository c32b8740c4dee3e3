import GraphExecution
import PollardBase
import TensorKernels

/// Numbers that two runs are compared in: single precision, or double where both have it.
protocol ComparedElement: BinaryFloatingPoint, Sendable {
  /// The numbers of a tensor, row-major.
  static func all(of tensor: Tensor) -> [Self]
  /// How two buffers of equal length differ.
  static func comparison(
    _ reference: UnsafeBufferPointer<Self>, _ other: UnsafeBufferPointer<Self>, _ pool: ThreadPool
  ) -> BufferComparison
}

extension Float: ComparedElement {
  static func all(of tensor: Tensor) -> [Float] { tensor.floats() }

  static func comparison(
    _ reference: UnsafeBufferPointer<Float>, _ other: UnsafeBufferPointer<Float>, _ pool: ThreadPool
  ) -> BufferComparison { BufferComparison(reference: reference, other: other, pool: pool) }
}

extension Double: ComparedElement {
  static func all(of tensor: Tensor) -> [Double] { tensor.doubles() }

  static func comparison(
    _ reference: UnsafeBufferPointer<Double>, _ other: UnsafeBufferPointer<Double>, _ pool: ThreadPool
  ) -> BufferComparison { BufferComparison(reference: reference, other: other) }
}
