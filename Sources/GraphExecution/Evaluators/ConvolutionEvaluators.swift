import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Convolution over one or more spatial axes: `[N, C, …]` by `[M, C / group, …]` to `[N, M, …]`.
///
/// Each element is one sum over ascending input channel, then window position, with fused multiply-add in one accumulator; positions
/// outside of the operand add a zero; the bias is added last.
func evaluateConvolution(_ context: EvaluationContext) throws -> Tensor {
  try convolve(context, added: nil, activation: .copy)
}

/// The convolution of a node, then what is added to it, then the activation: one pass over the result where a kernel does it.
func convolve(_ context: EvaluationContext, added: Tensor?, activation: UnaryOperation) throws -> Tensor {
  let x = try context.tensor(0)
  var result: Tensor
  if x.type == .f32, x.rank == 3 || x.rank == 4 {
    let (found, isFinished) = try convolvedByKernel(x, context, added: added, activation: activation)
    if isFinished { return found }
    result = found
  } else {
    result = try convolved(x, by: context.tensor(1), context)
    if let bias = try bias(of: result, context) {
      let column = [bias.extents[0]] + Array(repeating: 1, count: x.rank - 2)
      result = try combine(result, bias.reshaped(column, context.memory), "Add", context)
    }
  }
  if let added { result = try combine(result, added, "Add", context) }
  return activation == .copy ? result : try result.mapped(activation, context.memory)
}

/// The bias of a convolution, one number for each filter.
private func bias(of result: Tensor, _ context: EvaluationContext) throws -> Tensor? {
  guard let bias = try context.optionalTensor(2) else { return nil }
  guard bias.extents == [result.extents[1]], bias.type == result.type else {
    throw context.failure(
      expected: "a bias [\(result.extents[1])] of \(result.type)", found: "\(bias.type)\(bias.extents)")
  }
  return bias.contiguous(context.memory)
}

/// The extents of a convolution.
private struct ConvolutionShape {
  let groups: Int
  /// Filters of one group.
  let filters: Int
  /// Channels of one group.
  let channels: Int
  let window: SlidingWindow

  init(_ x: Tensor, weights: [Int], _ context: EvaluationContext) throws {
    groups = context.node.integer("group", default: 1)
    guard x.rank >= 3, weights.count == x.rank, groups > 0, weights[0] % groups == 0,
      weights[1].multipliedReportingOverflow(by: groups) == (x.extents[1], false)
    else {
      throw context.failure(
        expected: "[N, C, …] and filters [M, C / \(groups), …]", found: "\(x.extents) and \(weights)")
    }
    let kernel = Array(weights.dropFirst(2))
    if let stated = context.node.integers("kernel_shape"), stated != kernel {
      throw context.failure(expected: "filters of the extents \(stated)", found: "\(weights)")
    }
    window = try SlidingWindow(of: x, kernel: kernel, context)
    filters = weights[0] / groups
    channels = weights[1]
  }
}

/// A convolution over one or two axes, with its bias; `isFinished` when also the addend and the activation are done.
private func convolvedByKernel(
  _ x: Tensor, _ context: EvaluationContext, added: Tensor?, activation: UnaryOperation
) throws -> (Tensor, isFinished: Bool) {
  let memory = context.memory
  var packed: PackedMatrix?
  var plain: Tensor?
  let extents: [Int]
  if memory.precision != .double, let weight = context.weight(1),
    ExecutionPlan.isPackedOperand(context.node, 1, weight, memory.precision)
  {
    extents = weight.shape.extents
    packed = try context.matrices.matrix(of: ExecutionPlan.matrix(of: weight, in: context.node), pool: context.pool)
  } else {
    let weights = try context.tensor(1)
    guard weights.type == .f32 else {
      throw context.failure(.typeMismatch, expected: "filters of F32", found: "\(weights.type)")
    }
    extents = weights.extents
    plain = weights.contiguous(memory)
  }
  let shape = try ConvolutionShape(x, weights: extents, context)
  let result = try memory.tensor(.f32, [x.extents[0], extents[0]] + shape.window.output)
  let bias = try bias(of: result, context)
  let fits = added.map { $0.extents == result.extents && $0.type == .f32 } ?? true
  if result.elementCount == 0 { return (result, fits) }
  func axis(_ index: Int) -> Convolution.Axis {
    guard index >= 0 else { return Convolution.Axis(input: 1, output: 1, window: 1, stride: 1, dilation: 1, before: 0) }
    let window = shape.window
    return Convolution.Axis(
      input: window.input[index], output: window.output[index], window: window.kernel[index],
      stride: window.strides[index], dilation: window.dilations[index], before: window.before[index])
  }
  var convolution = Convolution(
    batch: x.extents[0], groups: shape.groups, channels: shape.channels, filters: shape.filters, rows: axis(x.rank - 4),
    columns: axis(x.rank - 3))
  if fits { convolution.activation = activation }
  let source = x.contiguous(memory)
  let addend = fits ? added?.contiguous(memory) : nil
  let filters: Convolution.Filters
  if let packed {
    filters = .packed(packed)
  } else if let plain {
    filters = .plain(plain.pointer(Float.self))
  } else {
    throw context.failure(.illFormed, expected: "filters", found: "none")
  }
  convolution(
    source.pointer(Float.self), filters, bias: bias?.pointer(Float.self), added: addend?.pointer(Float.self),
    into: result.written(Float.self), pool: context.pool)
  withExtendedLifetime((source.buffer, plain?.buffer, bias?.buffer, addend?.buffer)) {}
  return (result, fits)
}

/// The convolution without a bias; operands of one numeric type.
func convolved(_ x: Tensor, by weights: Tensor, _ context: EvaluationContext) throws -> Tensor {
  guard x.type == weights.type else {
    throw context.failure(.typeMismatch, expected: "filters of \(x.type)", found: "\(weights.type)")
  }
  let shape = try ConvolutionShape(x, weights: weights.extents, context)
  let (groups, depth, filters, window) = (shape.groups, shape.channels, shape.filters, shape.window)
  let batch = x.extents[0]
  let count = try context.elementCount(window.output)
  let result = try context.memory.tensor(x.type, [batch, weights.extents[0]] + window.output)
  if result.elementCount == 0 { return result }
  let matrix = weights.reshaped([groups, filters, depth * window.size], context.memory)
  let dense = result.view([batch, groups, filters, count], strides: rowMajorStrides([batch, groups, filters, count]))
  let source = x.contiguous(context.memory)
  let tables = try window.tables(context)
  for image in 0..<batch {
    for group in 0..<groups {
      let plane = source.sliced(axis: 0, start: image, count: 1).sliced(axis: 1, start: group * depth, count: depth)
      let patches = try windows(plane, tables, window, context)
      let rows = matrix.sliced(axis: 0, start: group, count: 1).reshaped(
        [filters, depth * window.size], context.memory)
      let product = try tensorProduct(rows, patches, context)
      let place = dense.sliced(axis: 0, start: image, count: 1).sliced(axis: 1, start: group, count: 1)
      copyElements(of: product.view([1, 1, filters, count], strides: [0, 0, count, 1]), to: place, context.pool)
    }
  }
  return result
}

/// The convolution of quantised operands minus their zero points, without scales.
func evaluateIntegerConvolution(_ context: EvaluationContext) throws -> Tensor {
  let x = try centred(0, zero: 2, context)
  let weights = try centred(1, zero: 3, context)
  return try converted(convolved(x, by: weights, context), to: .i32, context)
}

/// The same with scales and an integer bias, quantised again.
func evaluateQuantizedConvolution(_ context: EvaluationContext) throws -> Tensor {
  var sums = try convolved(centred(0, zero: 2, context), by: centred(3, zero: 5, context), context)
  func channels(_ values: Tensor) throws -> Tensor {
    let wide = try converted(values, to: .f64, context)
    if wide.elementCount == 1 { return wide.reshaped([]) }
    return wide.reshaped([wide.elementCount] + Array(repeating: 1, count: sums.rank - 2), context.memory)
  }
  if let bias = try context.optionalTensor(8) { sums = try combine(sums, channels(bias), "Add", context) }
  sums = try combine(sums, channels(context.tensor(1)), "Mul", context)
  sums = try combine(sums, channels(context.tensor(4)), "Mul", context)
  let zero = try context.tensor(7)
  return try quantized(sums, scale: context.tensor(6), zero: zero, to: zero.declaredType, context)
}

/// An operand minus its zero point, exactly; a vector of zero points is one for each filter.
private func centred(_ slot: Int, zero: Int, _ context: EvaluationContext) throws -> Tensor {
  let x = try converted(context.tensor(slot), to: .f64, context)
  guard let zeros = try context.optionalTensor(zero) else { return x }
  var wide = try converted(zeros, to: .f64, context)
  if wide.elementCount == 1 {
    wide = wide.reshaped([])
  } else {
    wide = wide.reshaped([wide.elementCount] + Array(repeating: 1, count: max(x.rank - 1, 0)), context.memory)
  }
  return try combine(x, wide, "Sub", context)
}

/// What the window sees of the channels of an image, as `[channel · window position, place of the result]`; 0 outside.
private func windows(
  _ plane: Tensor, _ tables: [[[Int]]], _ window: SlidingWindow, _ context: EvaluationContext
) throws -> Tensor {
  let channels = plane.extents[1]
  let count = window.output.reduce(1, *)
  if window.size == 1, window.output == window.input, window.before.allSatisfy({ $0 == 0 }) {
    return plane.reshaped([channels, count], context.memory)
  }
  let result = try context.memory.tensor(plane.type, [channels, window.size, count])
  switch plane.type.computedByteCount {
  case 1: fillWindows(UInt8.self, plane, result, tables, window, context.pool)
  case 2: fillWindows(UInt16.self, plane, result, tables, window, context.pool)
  case 4: fillWindows(UInt32.self, plane, result, tables, window, context.pool)
  default: fillWindows(UInt64.self, plane, result, tables, window, context.pool)
  }
  return result.view([channels * window.size, count], strides: [count, 1])
}

private func fillWindows<Bits: FixedWidthInteger & Sendable>(
  _ type: Bits.Type, _ plane: Tensor, _ result: Tensor, _ tables: [[[Int]]], _ window: SlidingWindow,
  _ pool: ThreadPool
) {
  nonisolated(unsafe) let from = plane.bits(type)
  nonisolated(unsafe) let to = result.writtenBits(type)
  let rank = window.kernel.count
  let strides = Array(plane.strides.dropFirst(2))
  let width = window.output[rank - 1]
  let lines = window.output.dropLast().reduce(1, *)
  let channelStride = plane.strides[1]
  forEachStep(plane.extents[1] * window.size, size: lines * width, pool) { row in
    let (channel, position) = row.quotientAndRemainder(dividingBy: window.size)
    var steps = Array(repeating: 0, count: rank)
    var rest = position
    for axis in (0..<rank).reversed() {
      (rest, steps[axis]) = rest.quotientAndRemainder(dividingBy: window.kernel[axis])
    }
    let last = tables[rank - 1][steps[rank - 1]]
    let inner = strides[rank - 1]
    for line in 0..<lines {
      var rest = line
      var start: Int? = channel * channelStride
      for axis in (0..<(rank - 1)).reversed() {
        let (quotient, place) = rest.quotientAndRemainder(dividingBy: window.output[axis])
        let source = tables[axis][steps[axis]][place]
        start = source < 0 ? nil : start.map { $0 + source * strides[axis] }
        rest = quotient
      }
      let target = to + (row * lines + line) * width
      if let start {
        for (index, source) in last.enumerated() { target[index] = source < 0 ? 0 : from[start + source * inner] }
      } else {
        target.update(repeating: 0, count: width)
      }
    }
  }
  withExtendedLifetime(plane) {}
}

/// Each element spread over a window: `[N, C, …]` by `[C, M / group, …]` to `[N, M, …]`.
///
/// Each element is a sum over ascending window position, then input channel; the bias is added last.
func evaluateTransposedConvolution(_ context: EvaluationContext) throws -> Tensor {
  let (x, weights) = (try context.tensor(0), try context.tensor(1))
  let node = context.node
  let groups = node.integer("group", default: 1)
  guard x.rank >= 3, weights.rank == x.rank, groups > 0, weights.extents[0] == x.extents[1],
    x.extents[1] % groups == 0, x.type == weights.type, x.type == .f32 || x.type == .f64
  else {
    throw context.failure(
      expected: "[N, C, …] and filters [C, M / \(groups), …] of F32 or F64",
      found: "\(x.type)\(x.extents) and \(weights.type)\(weights.extents)")
  }
  let rank = x.rank - 2
  let kernel = Array(weights.extents.dropFirst(2))
  let strides = node.integers("strides") ?? Array(repeating: 1, count: rank)
  let dilations = node.integers("dilations") ?? Array(repeating: 1, count: rank)
  let extra = node.integers("output_padding") ?? Array(repeating: 0, count: rank)
  var pads = node.integers("pads") ?? Array(repeating: 0, count: 2 * rank)
  let limit = 1 << 31
  guard strides.count == rank, dilations.count == rank, extra.count == rank, pads.count == 2 * rank,
    (strides + dilations).allSatisfy({ $0 > 0 && $0 < limit }),
    (kernel + x.extents).allSatisfy({ $0 < limit / 2 }), (extra + pads).allSatisfy({ $0 > -limit && $0 < limit })
  else {
    throw context.failure(
      expected: "\(rank) strides, dilations and output paddings", found: "\(strides), \(dilations), \(extra)")
  }
  let automatic = node.string("auto_pad") ?? "NOTSET"
  let stated = node.integers("output_shape")
  guard stated?.allSatisfy({ (0..<1 << 40).contains($0) }) ?? true else {
    throw context.failure(expected: "an output_shape of extents", found: "\(stated ?? [])")
  }
  let isSame = automatic == "SAME_UPPER" || automatic == "SAME_LOWER"
  var output: [Int] = []
  for axis in 0..<rank {
    let full = strides[axis] * (x.extents[axis + 2] - 1) + extra[axis] + (kernel[axis] - 1) * dilations[axis] + 1
    if stated != nil || isSame {
      let wanted = stated.map { $0.suffix(rank) }.flatMap { $0.count == rank ? $0[$0.startIndex + axis] : nil }
      let extent = wanted ?? x.extents[axis + 2] * strides[axis]
      let total = max(0, full - extent)
      pads[axis] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2
      pads[rank + axis] = total - pads[axis]
      output.append(extent)
    } else {
      output.append(full - pads[axis] - pads[rank + axis])
    }
  }
  let filters = weights.extents[1]
  guard output.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "pads that leave something", found: "\(output)")
  }
  let depth = x.extents[1] / groups
  let places = x.extents.dropFirst(2).reduce(1, *)
  let size = kernel.reduce(1, *)
  let channels = try context.elementCount([filters, groups])
  let result = try context.memory.tensor(x.type, [x.extents[0], channels] + output)
  result.fillWithZeros()
  // A sum over nothing is zero, for however many groups.
  let isEmpty = result.elementCount == 0 || depth == 0 || places == 0 || size == 0
  var tables: [[[Int]]] = []
  for axis in 0..<rank where !isEmpty {
    try context.checkSize([wide, kernel[axis], x.extents[axis + 2] + 4])
    tables.append(
      (0..<kernel[axis]).map { step in
        (0..<x.extents[axis + 2]).map { place in
          let found = place * strides[axis] - pads[axis] + step * dilations[axis]
          return (0..<output[axis]).contains(found) ? found * result.strides[axis + 2] : -1
        }
      })
  }
  for image in 0..<(isEmpty ? 0 : x.extents[0]) {
    for group in 0..<groups {
      // [window position · M, C] times [C, places].
      let part = weights.sliced(axis: 0, start: group * depth, count: depth).reshaped(
        [depth, filters * size], context.memory)
      let plane = x.sliced(axis: 0, start: image, count: 1).sliced(axis: 1, start: group * depth, count: depth)
        .reshaped([depth, places], context.memory)
      let product = try tensorProduct(part.transposed([1, 0]), plane, context)
      let target = result.sliced(axis: 0, start: image, count: 1)
        .sliced(axis: 1, start: group * filters, count: filters)
      if x.type == .f64 {
        spread(product, into: target, Double.self, kernel, Array(x.extents.dropFirst(2)), tables)
      } else {
        spread(product, into: target, Float.self, kernel, Array(x.extents.dropFirst(2)), tables)
      }
    }
  }
  guard let bias = try context.optionalTensor(2) else { return result }
  let column = [channels] + Array(repeating: 1, count: rank)
  guard bias.extents == [channels] else {
    throw context.failure(expected: "a bias [\(channels)]", found: "\(bias.extents)")
  }
  return try combine(result, bias.reshaped(column, context.memory), "Add", context)
}

/// Adds the products `[M · window position, place]` to where they belong.
private func spread<Element: FloatElement>(
  _ product: Tensor, into target: Tensor, _ type: Element.Type, _ kernel: [Int], _ extents: [Int], _ tables: [[[Int]]]
) {
  let from = product.pointer(type)
  let to = target.written(type)
  let size = kernel.reduce(1, *)
  let places = extents.reduce(1, *)
  for filter in 0..<target.extents[1] {
    forEachPosition(kernel) { position, steps in
      forEachPosition(extents) { place, at in
        var offset = filter * target.strides[1]
        for axis in at.indices {
          let found = tables[axis][steps[axis]][at[axis]]
          if found < 0 { return }
          offset += found
        }
        to[offset] += from[(filter * size + position) * places + place]
      }
    }
  }
  withExtendedLifetime((product, target)) {}
}

extension EvaluatorTable {
  static let convolutions: [OperatorName: Evaluator] = {
    var table: [OperatorName: Evaluator] = [
      OperatorName("Conv"): { [try evaluateConvolution($0)] },
      OperatorName("ConvTranspose"): { [try evaluateTransposedConvolution($0)] },
      OperatorName("ConvInteger"): { [try evaluateIntegerConvolution($0)] },
      OperatorName("QLinearConv"): { [try evaluateQuantizedConvolution($0)] },
      OperatorName("MaxPool"): { try evaluateMaximumPooling($0) },
    ]
    for name in ["AveragePool", "LpPool"] { table[OperatorName(name)] = { [try evaluatePooling($0)] } }
    for name in ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"] {
      table[OperatorName(name)] = { [try evaluateGlobalPooling($0)] }
    }
    return table
  }()
}
