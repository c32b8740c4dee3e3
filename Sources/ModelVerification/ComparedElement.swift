import GraphExecution
import PollardBase
import TensorKernels

/// Numbers that two runs are compared in: single precision, double where both have it, integers as they are.
protocol ComparedElement: Comparable, Sendable {
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

extension Int64: ComparedElement {
  /// Strings are equal where their numbers in the table are.
  static func all(of tensor: Tensor) -> [Int64] { tensor.wholeNumbers() }

  static func comparison(
    _ reference: UnsafeBufferPointer<Int64>, _ other: UnsafeBufferPointer<Int64>, _ pool: ThreadPool
  ) -> BufferComparison { BufferComparison(integers: reference, other: other) }
}

extension UInt64: ComparedElement {
  static func all(of tensor: Tensor) -> [UInt64] { tensor.wholeNumbers().map { UInt64(bitPattern: $0) } }

  static func comparison(
    _ reference: UnsafeBufferPointer<UInt64>, _ other: UnsafeBufferPointer<UInt64>, _ pool: ThreadPool
  ) -> BufferComparison { BufferComparison(integers: reference, other: other) }
}
