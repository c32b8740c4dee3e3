import PollardBase
import TensorKernels
import TensorStorage

/// The rows and columns that two or three tensors of equal extents are walked in by a kernel.
struct MatrixLoops {
  let nest: LoopNest
  let rows: Int
  let columns: Int
  private let inner: Int

  /// Nil when an operand's columns neither are neighbours nor repeat.
  init?(_ extents: [Int], _ operands: [[Int]]) {
    nest = LoopNest(extents, operands)
    inner = min(nest.extents.count, 2)
    columns = nest.extents.last ?? 1
    rows = inner == 2 ? nest.extents[nest.extents.count - 2] : 1
    for strides in nest.strides where strides.last ?? 1 != 1 && strides.last ?? 1 != 0 { return nil }
  }

  var steps: Int { nest.outerCount(above: inner) }

  func offset(_ operand: Int, at step: Int) -> Int { nest.offset(operand, at: step, above: inner) }

  /// Elements from one row to the next.
  func rowStride(_ operand: Int) -> Int {
    inner == 2 ? nest.strides[operand][nest.extents.count - 2] : columns * columnStride(operand)
  }

  func columnStride(_ operand: Int) -> Int { nest.strides[operand].last ?? 1 }

  /// An operand of a kernel at one step.
  func operand(_ base: UnsafePointer<Float>, _ operand: Int, at step: Int) -> BroadcastOperand {
    let start = base + offset(operand, at: step)
    let stride = rows == 1 ? 0 : rowStride(operand)
    if columnStride(operand) == 0 { return stride == 0 ? .scalar(start) : .column(start, stride: stride) }
    if stride == 0 { return .row(start) }
    return .matrix(MatrixView(base: start, rows: rows, columns: columns, rowStride: stride))
  }
}

extension Tensor {
  /// Applies a kernel's function to every element of a tensor of F32 or F64.
  ///
  /// - Parameter target: where the result of F32 goes, when not to memory of its own: dense, and this tensor itself or of other memory.
  func mapped(_ operation: UnaryOperation, _ memory: Memory, into target: Tensor? = nil) throws -> Tensor {
    if type == .f64 {
      let dense = contiguous(memory)
      let result = try memory.tensor(.f64, extents)
      Kernels.unary(
        operation, UnsafeBufferPointer(start: dense.pointer(Double.self), count: elementCount),
        into: UnsafeMutableBufferPointer(start: result.written(Double.self), count: elementCount), pool: memory.pool)
      withExtendedLifetime(dense) {}
      return result
    }
    let result = try target ?? memory.tensor(.f32, extents)
    if extents.contains(0) { return result }
    guard let loops = MatrixLoops(extents, [strides, result.strides]), loops.columnStride(0) == 1 else {
      return try contiguous(memory).mapped(operation, memory, into: target)
    }
    nonisolated(unsafe) let x = pointer(Float.self)
    nonisolated(unsafe) let y = result.written(Float.self)
    forEachStep(loops.steps, size: loops.rows * loops.columns, memory.pool) { step in
      Kernels.unary(
        operation,
        MatrixView(
          base: x + loops.offset(0, at: step), rows: loops.rows, columns: loops.columns, rowStride: loops.rowStride(0)),
        into: MutableMatrixView(
          base: y + loops.offset(1, at: step), rows: loops.rows, columns: loops.columns, rowStride: loops.rowStride(1)),
        pool: memory.pool)
    }
    return result
  }

  /// Combines two F32 tensors by a kernel's function; `extents` is what both broadcast to.
  ///
  /// - Parameter destination: where the result goes, when not to memory of its own: dense, and one operand itself or of other memory.
  func combined(
    _ operation: BinaryOperation, with other: Tensor, extents: [Int], _ memory: Memory, into destination: Tensor? = nil
  ) throws -> Tensor {
    let result = try destination ?? memory.tensor(.f32, extents)
    if extents.contains(0) { return result }
    let a = broadcast(to: extents)
    let b = other.broadcast(to: extents)
    guard let loops = MatrixLoops(extents, [a.strides, b.strides, result.strides]), loops.columnStride(2) == 1 else {
      return try contiguous(memory).combined(
        operation, with: other.contiguous(memory), extents: extents, memory, into: destination)
    }
    nonisolated(unsafe) let left = a.pointer(Float.self)
    nonisolated(unsafe) let right = b.pointer(Float.self)
    nonisolated(unsafe) let target = result.written(Float.self)
    forEachStep(loops.steps, size: loops.rows * loops.columns, memory.pool) { step in
      Kernels.binary(
        operation, loops.operand(left, 0, at: step), loops.operand(right, 1, at: step),
        into: MutableMatrixView(
          base: target + loops.offset(2, at: step), rows: loops.rows, columns: loops.columns,
          rowStride: loops.rowStride(2)),
        pool: memory.pool)
    }
    return result
  }

  /// Applies a function to every element; bytes are truth values unless another type is given.
  func map<From: TensorElement, To: TensorElement>(
    _ memory: Memory, as type: ElementType? = nil, _ function: @Sendable (From) -> To
  ) throws -> Tensor {
    let result = try memory.tensor(type ?? To.elementType, extents)
    if extents.contains(0) { return result }
    let nest = LoopNest(extents, [strides, result.strides])
    let (count, inner) = nest.inner
    nonisolated(unsafe) let from = pointer(From.self)
    nonisolated(unsafe) let to = result.written(To.self)
    forEachStep(nest.outerCount(above: 1), size: count, memory.pool) { step in
      let x = from + nest.offset(0, at: step, above: 1)
      let y = to + nest.offset(1, at: step, above: 1)
      for index in 0..<count { y[index] = function(x[index * inner[0]]) }
    }
    return result
  }

  /// Combines two tensors element by element; `extents` is what both broadcast to.
  func zip<A: TensorElement, B: TensorElement, To: TensorElement>(
    _ other: Tensor, extents: [Int], _ memory: Memory, as type: ElementType? = nil, _ function: @Sendable (A, B) -> To
  ) throws -> Tensor {
    let result = try memory.tensor(type ?? To.elementType, extents)
    if extents.contains(0) { return result }
    let a = broadcast(to: extents)
    let b = other.broadcast(to: extents)
    let nest = LoopNest(extents, [a.strides, b.strides, result.strides])
    let (count, inner) = nest.inner
    nonisolated(unsafe) let left = a.pointer(A.self)
    nonisolated(unsafe) let right = b.pointer(B.self)
    nonisolated(unsafe) let target = result.written(To.self)
    forEachStep(nest.outerCount(above: 1), size: count, memory.pool) { step in
      let x = left + nest.offset(0, at: step, above: 1)
      let y = right + nest.offset(1, at: step, above: 1)
      let z = target + nest.offset(2, at: step, above: 1)
      for index in 0..<count { z[index] = function(x[index * inner[0]], y[index * inner[1]]) }
    }
    return result
  }
}
