import ModelGraph
import PollardBase
import TensorStorage

/// Where each position of a picture or of a volume goes under an affine map: `theta · [x, y, (z,) 1]` for coordinates from -1 to 1.
///
/// Sums are in double precision, in the order of the columns. An axis of a single position with aligned corners lies at -1.
/// - theta: `[N, d, d + 1]`; size: `[N, C, (D,) H, W]`; result: `[N, (D,) H, W, d]`, d 2 or 3.
/// - Source: ONNX AffineGrid-20.
func evaluateAffineGrid(_ context: EvaluationContext) throws -> Tensor {
  let theta = try context.tensor(0)
  let size = try context.integers(1)
  let spatial = size.count - 2
  guard spatial == 2 || spatial == 3, theta.extents == [size[0], spatial, spatial + 1], theta.type.isFloatingPoint
  else {
    throw context.failure(
      expected: "a map [N, 2, 3] or [N, 3, 4] and a size [N, C, (D,) H, W]", found: "\(theta.extents) and \(size)")
  }
  let extents = Array(size[2...])
  guard extents.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "extents of 0 or more", found: "\(size)")
  }
  let isAligned = context.node.integer("align_corners", default: 0) != 0
  let result = try context.memory.tensor(theta.type, [size[0]] + extents + [spatial])
  if result.extents.contains(0) { return result }
  let maps = theta.doubles()
  @Sendable func coordinate(_ index: Int, _ extent: Int) -> Double {
    if isAligned { return extent == 1 ? -1 : -1 + Double(index) * 2 / Double(extent - 1) }
    return -1 + (2 * Double(index) + 1) / Double(extent)
  }
  func fill<Element: FloatElement>(_ element: Element.Type) {
    nonisolated(unsafe) let to = result.written(element)
    let positions = extents.reduce(1, *)
    let width = extents[spatial - 1]
    forEachStep(size[0] * positions / width, size: 8 * width, context.pool) { row in
      let (batch, line) = row.quotientAndRemainder(dividingBy: positions / width)
      var homogeneous = Array(repeating: 1.0, count: spatial + 1)
      var rest = line
      for axis in (0..<spatial - 1).reversed() {
        // The first coordinate is that of the last axis.
        homogeneous[spatial - 1 - axis] = coordinate(rest % extents[axis], extents[axis])
        rest /= extents[axis]
      }
      for index in 0..<width {
        homogeneous[0] = coordinate(index, width)
        for part in 0..<spatial {
          let start = (batch * spatial + part) * (spatial + 1)
          var sum = 0.0
          for column in 0...spatial { sum += maps[start + column] * homogeneous[column] }
          to[(row * width + index) * spatial + part] = Element(sum)
        }
      }
    }
  }
  if result.type == .f32 { fill(Float.self) } else { fill(Double.self) }
  return result
}

/// The middle of a tensor, or the tensor in the middle of zeros, axis by axis.
///
/// - Source: ONNX CenterCropPad-18.
func evaluateCenterCropPad(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let shape = try context.integers(1)
  let axes = try (context.node.integers("axes") ?? Array(0..<x.rank)).map { try context.axis($0, rank: x.rank) }
  guard shape.count == axes.count, Set(axes).count == axes.count, shape.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "an extent for each of the axes \(axes)", found: "\(shape)")
  }
  var extents = x.extents
  for (axis, extent) in zip(axes, shape) { extents[axis] = extent }
  let result = try context.memory.tensor(x.type, extents, as: x.declaredType)
  if extents != x.extents { result.fillWithZeros() }
  var (from, to) = (x, result)
  for (axis, extent) in zip(axes, shape) {
    let count = min(extent, x.extents[axis])
    from = from.sliced(axis: axis, start: (x.extents[axis] - count) / 2, count: count)
    to = to.sliced(axis: axis, start: (extent - count) / 2, count: count)
  }
  copyElements(of: from, to: to, context.pool)
  return result
}

extension EvaluatorTable {
  static let grids: [OperatorName: Evaluator] = [
    OperatorName("AffineGrid"): { [try evaluateAffineGrid($0)] },
    OperatorName("CenterCropPad"): { [try evaluateCenterCropPad($0)] },
  ]
}
