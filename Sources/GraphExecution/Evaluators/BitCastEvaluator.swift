import ModelGraph
import PollardBase
import TensorStorage

/// The same bits as another type of equal width.
func evaluateBitCast(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let number = context.node.integer("to", default: 0)
  guard let target = castTargets[number], target.bitCount == x.declaredType.bitCount, let size = target.byteCount,
    x.type.computedByteCount == size, target.computed(in: context.memory.precision)?.computedByteCount == size
  else {
    throw context.failure(
      .unsupported, expected: "types of equal width, held in memory as they are",
      found: "\(x.declaredType) and type number \(number)")
  }
  let dense = x.contiguous(context.memory)
  return Tensor(
    type: target, extents: x.extents, strides: rowMajorStrides(x.extents), offset: dense.offset, buffer: dense.buffer)
}
