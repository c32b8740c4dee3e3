import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

private func window(of x: Tensor, _ context: EvaluationContext) throws -> SlidingWindow {
  guard let kernel = context.node.integers("kernel_shape") else {
    throw context.failure(.illFormed, expected: "the attribute \"kernel_shape\"", found: "none")
  }
  return try SlidingWindow(of: x, kernel: kernel, context)
}

/// The largest element under each window, and where it is.
func evaluateMaximumPooling(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0).contiguous(context.memory)
  switch x.type {
  case .f32: return try maximumPooling(x, Float.self, -.infinity, context)
  case .f64: return try maximumPooling(x, Double.self, -.infinity, context)
  case .i8: return try maximumPooling(x, Int8.self, .min, context)
  case .u8: return try maximumPooling(x, UInt8.self, .min, context)
  default: throw context.failure(.typeMismatch, expected: "floating-point numbers or bytes", found: "\(x.type)")
  }
}

private func maximumPooling<Element: TensorElement & Comparable>(
  _ x: Tensor, _ type: Element.Type, _ least: Element, _ context: EvaluationContext
) throws -> [Tensor] {
  let window = try window(of: x, context)
  let offsets = try window.offsets(context)
  let extents = Array(x.extents[..<2]) + window.output
  let result = try context.memory.tensor(x.type, extents)
  // Nobody looks at an index that has no name.
  let wantsIndices = context.node.outputs.count > 1 && context.node.outputs[1] != nil
  let indices = wantsIndices ? try context.memory.tensor(.i64, extents) : nil
  let count = window.output.reduce(1, *)
  let plane = window.input.reduce(1, *)
  let isColumnMajor = context.node.integer("storage_order", default: 0) != 0
  let strides = rowMajorStrides(window.input)
  let columnStrides = Array(rowMajorStrides(window.input.reversed()).reversed())
  nonisolated(unsafe) let from = x.pointer(type)
  nonisolated(unsafe) let to = result.written(type)
  nonisolated(unsafe) let places = indices?.written(Int64.self)
  forEachStep(x.extents[0] * x.extents[1], size: offsets.count, context.pool) { channel in
    for place in 0..<count {
      var (best, found) = (least, -1)
      for position in 0..<window.size {
        let offset = offsets[position * count + place]
        if offset < 0 { continue }
        let value = from[channel * plane + offset]
        if found < 0 || value > best || value != value { (best, found) = (value, offset) }
      }
      to[channel * count + place] = best
      guard let places else { continue }
      if isColumnMajor, found >= 0 {
        found = window.input.indices.reduce(0) { $0 + found / strides[$1] % window.input[$1] * columnStrides[$1] }
      }
      places[channel * count + place] = Int64(found < 0 ? -1 : channel * plane + found)
    }
  }
  withExtendedLifetime(x) {}
  return [result] + (indices.map { [$0] } ?? [])
}

/// The mean, or the norm, of the elements under each window.
func evaluatePooling(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0).contiguous(context.memory)
  switch x.type {
  case .f32: return try pooling(x, Float.self, context)
  case .f64: return try pooling(x, Double.self, context)
  default: throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(x.type)")
  }
}

private func pooling<Element: FloatElement>(
  _ x: Tensor, _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  let window = try window(of: x, context)
  let offsets = try window.offsets(context)
  let count = window.output.reduce(1, *)
  let plane = window.input.reduce(1, *)
  let isMean = context.node.op.name == "AveragePool"
  let power = Double(context.node.integer("p", default: 2))
  var divisors = Array(repeating: window.size, count: count)
  if isMean {
    let includesPads = context.node.integer("count_include_pad", default: 0) != 0
    let bounds = window.input.indices.map { axis in
      includesPads
        ? -window.before[axis]..<max(window.input[axis] + window.after[axis], -window.before[axis])
        : 0..<window.input[axis]
    }
    forEachPosition(window.output) { place, at in
      divisors[place] = at.indices.reduce(1) { product, axis in
        let start = at[axis] * window.strides[axis] - window.before[axis]
        return product
          * (0..<window.kernel[axis]).filter { bounds[axis].contains(start + $0 * window.dilations[axis]) }.count
      }
    }
  }
  let result = try context.memory.tensor(x.type, Array(x.extents[..<2]) + window.output)
  nonisolated(unsafe) let from = x.pointer(type)
  nonisolated(unsafe) let to = result.written(type)
  forEachStep(x.extents[0] * x.extents[1], size: offsets.count, context.pool) { [divisors] channel in
    for place in 0..<count {
      var sum = Element(0)
      for position in 0..<window.size {
        let offset = offsets[position * count + place]
        if offset < 0 { continue }
        let value = from[channel * plane + offset]
        sum += isMean ? value : power == 2 ? value * value : Element(raised(abs(Double(value)), to: power))
      }
      to[channel * count + place] =
        isMean
        ? sum / Element(divisors[place]) : power == 2 ? sum.squareRoot() : Element(raised(Double(sum), to: 1 / power))
    }
  }
  withExtendedLifetime(x) {}
  return result
}

/// One number for each channel of each image.
func evaluateGlobalPooling(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard x.rank >= 2, !x.extents.dropFirst(2).contains(0) else {
    throw context.failure(expected: "[N, C, …] with elements to pool", found: "\(x.extents)")
  }
  let result = try context.memory.tensor(x.type, Array(x.extents[..<2]) + x.extents.dropFirst(2).map { _ in 1 })
  let size = x.extents.dropFirst(2).reduce(1, *)
  let rows = x.extents[0] * x.extents[1]
  if rows == 0 { return result }
  let dense = x.contiguous(context.memory)
  defer { withExtendedLifetime(dense) {} }
  let power = Double(context.node.integer("p", default: 2))
  let name = context.node.op.name
  if x.type == .f32, name != "GlobalLpPool" {
    Kernels.reduceRows(
      name == "GlobalMaxPool" ? .maximum : .mean,
      MatrixView(base: dense.pointer(Float.self), rows: rows, columns: size, rowStride: size),
      into: UnsafeMutableBufferPointer(start: result.written(Float.self), count: rows), pool: context.pool)
    return result
  }
  let values = dense.doubles()
  let pooled = (0..<rows).map { row -> Double in
    let part = values[row * size..<(row + 1) * size]
    switch name {
    case "GlobalMaxPool": return part.max() ?? -.infinity
    case "GlobalLpPool": return raised(part.reduce(0) { $0 + raised(abs($1), to: power) }, to: 1 / power)
    default: return part.reduce(0, +) / Double(size)
    }
  }
  return try converted(Tensor(doubles: pooled, extents: result.extents), to: x.type, context)
}
