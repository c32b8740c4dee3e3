import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

// Products of the domain com.microsoft, as ONNX Runtime's ContribOperators.md describes them.

/// The product of a tensor and an operand that is a matrix, packed once when it is constant.
func productWithMatrix(
  _ a: Tensor, _ slot: Int, transposed: Bool, _ context: EvaluationContext
) throws -> Tensor {
  let b = try context.tensor(slot)
  guard b.rank == 2 else { throw context.failure(expected: "a matrix in operand \(slot)", found: "\(b.extents)") }
  return try tensorProduct(a, transposed ? b.transposed([1, 0]) : b, context)
}

/// `alpha · A · B`, where the last two axes of either may be exchanged, or the leading axes moved behind the next one.
func evaluateFusedMatMul(_ context: EvaluationContext) throws -> Tensor {
  func operand(_ slot: Int, _ name: String) throws -> Tensor {
    var x = try context.tensor(slot)
    if x.rank < 2 { return x }
    let last = x.rank - 1
    if context.node.integer("transBatch\(name)", default: 0) != 0, x.rank > 2 {
      x = x.transposed(Array(1..<last) + [0, last])
    }
    if context.node.integer("trans\(name)", default: 0) != 0 {
      x = x.transposed(Array(0..<(last - 1)) + [last, last - 1])
    }
    return x
  }
  let product = try tensorProduct(operand(0, "A"), operand(1, "B"), context)
  return try scaled(product, by: context.node.float("alpha") ?? 1, context)
}

/// Gemm and an activation.
func evaluateFusedGemm(_ context: EvaluationContext) throws -> Tensor { try activated(evaluateGemm(context), context) }

/// A convolution, what is added to it, and an activation.
func evaluateFusedConvolution(_ context: EvaluationContext) throws -> Tensor {
  var result = try evaluateConvolution(context)
  if let other = try context.optionalTensor(3) { result = try combine(result, other, "Add", context) }
  return try activated(result, context)
}

/// A result after the activation that attributes name; HardSigmoid and LeakyRelu have parameters in a list for convolutions.
private func activated(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let name = context.node.string("activation") ?? ""
  if name.isEmpty { return x }
  guard unaryNames.contains(name) || name == "Clip" else {
    throw context.failure(.unsupported, expected: "a known activation", found: "\"\(name)\"")
  }
  let list = context.node.floats("activation_params") ?? []
  if name == "Clip" {
    guard list.count == 2 else { throw context.failure(expected: "two bounds", found: "\(list)") }
    let bounds = try list.map { try converted(Tensor(floats: [$0], extents: []), to: x.type, context) }
    return try combine(combine(x, bounds[0], "Max", context), bounds[1], "Min", context)
  }
  var attributes: [String: Attribute] = [:]
  for (place, key) in ["alpha", "beta", "gamma"].enumerated() {
    if let value = context.node.float("activation_\(key)") ?? (place < list.count ? list[place] : nil) {
      attributes[key] = .float(value)
    }
  }
  return try applied(name, attributes, to: x, context)
}

/// `A · dequantised(B)ᵀ + bias`, B in blocks of 4 or 8 bits along its rows: `[N, blocks, bytes]`, with a scale for each block.
func evaluateBlockQuantizedProduct(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let (depth, columns) = (node.integer("K", default: 0), node.integer("N", default: 0))
  let (block, bits) = (node.integer("block_size", default: 0), node.integer("bits", default: 4))
  guard !context.has(4), bits == 4 || bits == 8, node.integer("weight_prepacked", default: 0) == 0 else {
    throw context.failure(
      .unsupported, expected: "4 or 8 bits, no g_idx and no weight_prepacked", found: "\(bits) bits, or one of them")
  }
  let stored = try context.tensor(1)
  guard depth > 0, columns > 0, block > 0, block % 8 == 0, stored.type == .u8, depth < 1 << 40,
    block <= 1 << 16, stored.elementCount / columns >= depth * bits / 8
  else {
    throw context.failure(
      expected: "U8 blocks of \(block) for a matrix [\(columns), \(depth)]", found: "\(stored.type)\(stored.extents)")
  }
  let blocks = (depth + block - 1) / block
  let size = block * bits / 8
  let codes = stored.elements(UInt8.self)
  let scales = try context.tensor(2).doubles()
  guard codes.count == columns * blocks * size, scales.count == columns * blocks else {
    throw context.failure(
      expected: "\(columns) rows of \(blocks) blocks and scales", found: "\(codes.count) bytes, \(scales.count) scales")
  }
  let zeros = try blockZeros(3, rows: columns, blocks: blocks, bits: bits, context)
  let weights = try context.memory.tensor(context.memory.floatType, [columns, depth])
  nonisolated(unsafe) let base = weights.buffer.base
  let isDouble = weights.type == .f64
  forEachStep(columns, size: depth, context.pool) { row in
    for k in 0..<depth {
      let part = row * blocks + k / block
      let within = k % block
      let byte = Int(codes[part * size + within * bits / 8])
      let code = bits == 8 ? byte : within % 2 == 0 ? byte & 15 : byte >> 4
      let value = (Double(code) - zeros[part]) * scales[part]
      if isDouble {
        base.storeBytes(of: value, toByteOffset: (row * depth + k) * 8, as: Double.self)
      } else {
        base.storeBytes(of: Float(value), toByteOffset: (row * depth + k) * 4, as: Float.self)
      }
    }
  }
  let product = try tensorProduct(context.tensor(0), weights.transposed([1, 0]), context)
  guard let bias = try context.optionalTensor(5) else { return product }
  return try combine(product, bias, "Add", context)
}

/// Zero points for the blocks of each row: packed like the codes, as floating-point numbers, or the middle when there are none.
private func blockZeros(
  _ slot: Int, rows: Int, blocks: Int, bits: Int, _ context: EvaluationContext
) throws -> [Double] {
  guard let zeros = try context.optionalTensor(slot) else {
    return Array(repeating: Double(1 << (bits - 1)), count: rows * blocks)
  }
  if zeros.type.isFloatingPoint {
    guard zeros.elementCount == rows * blocks else {
      throw context.failure(expected: "\(rows * blocks) zero points", found: "\(zeros.extents)")
    }
    return zeros.doubles()
  }
  let bytes = try context.integers(zeros, "operand \(slot)").map { Int($0) }
  let width = (blocks * bits + 7) / 8
  guard bytes.count == rows * width else {
    throw context.failure(expected: "\(rows * width) bytes of zero points", found: "\(zeros.extents)")
  }
  return (0..<rows * blocks).map { index in
    let (row, part) = index.quotientAndRemainder(dividingBy: blocks)
    let byte = bytes[row * width + part * bits / 8]
    return Double(bits == 8 ? byte : part % 2 == 0 ? byte & 15 : byte >> 4)
  }
}

/// Rows of a table that is quantised in blocks along one axis.
func evaluateBlockQuantizedGather(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let data = try context.tensor(0)
  let scales = try context.tensor(2)
  let bits = node.integer("bits", default: 4)
  let block = node.integer("block_size", default: 128)
  let isPacked = data.declaredType == .u8 && bits == 4
  guard bits == 4 || bits == 8, (1..<1 << 31).contains(block), data.rank > 0, scales.rank == data.rank else {
    throw context.failure(.unsupported, expected: "codes of 4 or 8 bits in blocks", found: "\(bits) bits")
  }
  func unpacked(_ x: Tensor) throws -> Tensor {
    guard isPacked else { return try converted(x, to: .f64, context) }
    let values = try context.integers(x, "the operands of codes").flatMap { [Double($0 & 15), Double($0 >> 4 & 15)] }
    return Tensor(doubles: values, extents: x.extents.dropLast() + [2 * x.extents[x.rank - 1]])
  }
  var codes = try unpacked(data)
  let axis = try context.axis(node.integer("quantize_axis", default: 1), rank: codes.rank)
  let gathered = try context.axis(node.integer("gather_axis", default: 0), rank: codes.rank)
  var extents = codes.extents
  extents[axis] = (codes.extents[axis] + block - 1) / block
  guard scales.extents == extents else {
    throw context.failure(expected: "scales \(extents)", found: "\(scales.extents)")
  }
  let positions = codes.extents.indices.map { other in
    (0..<codes.extents[other]).map { other == axis ? $0 / block : $0 }
  }
  if let zeros = try context.optionalTensor(3) {
    var points = try unpacked(zeros)
    if isPacked, points.extents[points.rank - 1] > extents[points.rank - 1] {
      points = points.sliced(axis: points.rank - 1, start: 0, count: extents[points.rank - 1])
    }
    guard points.extents == extents else {
      throw context.failure(expected: "zero points \(extents)", found: "\(zeros.extents)")
    }
    codes = try combine(codes, points.picking(positions, context.memory), "Sub", context)
  } else if data.declaredType == .u8 {
    let middle = Tensor(doubles: [Double(1 << (bits - 1))], extents: [])
    codes = try combine(codes, middle, "Sub", context)
  }
  let wide = try converted(scales, to: .f64, context).picking(positions, context.memory)
  let values = try converted(combine(codes, wide, "Mul", context), to: context.memory.floatType, context)
  let shape = try context.tensor(1).extents
  let places = try context.integers(1).map { try context.position($0, of: values.extents[gathered], slot: 1) }
  let rows = try values.picking(
    values.extents.indices.map { $0 == gathered ? places : Array(0..<values.extents[$0]) }, context.memory)
  return rows.reshaped(
    Array(values.extents[..<gathered]) + shape + Array(values.extents[(gathered + 1)...]), context.memory)
}

/// Sums of products of two quantised operands minus their zero points, exact, then rounded to the type of the graph's numbers.
func quantizedProduct(
  _ first: Int, _ second: Int, firstZero: Int, secondZero: Int, _ context: EvaluationContext
) throws -> Tensor {
  func centred(_ slot: Int, _ zero: Int) throws -> Tensor {
    let x = try converted(context.tensor(slot), to: .f64, context)
    guard let zeros = try context.optionalTensor(zero) else { return x }
    return try combine(x, converted(zeros, to: .f64, context), "Sub", context)
  }
  return try converted(
    tensorProduct(centred(first, firstZero), centred(second, secondZero), context), to: context.memory.floatType,
    context)
}

/// A product of quantised operands times both scales, and a bias.
func evaluateIntegerProductToFloat(_ context: EvaluationContext) throws -> Tensor {
  let sums = try quantizedProduct(0, 1, firstZero: 4, secondZero: 5, context)
  return try rescaled(sums, context.tensor(2), context.tensor(3), bias: 6, context)
}

/// The same, the left operand quantised here.
func evaluateDynamicallyQuantizedProduct(_ context: EvaluationContext) throws -> Tensor {
  let parts = try evaluateDynamicQuantizeLinear(context)
  let inner = EvaluationContext(
    node: context.node,
    operands: [.tensor(parts[0])] + Array(context.operands.dropFirst().prefix(1)) + [.tensor(parts[2])]
      + Array(context.operands.dropFirst(3).prefix(1)),
    graph: context.graph, memory: context.memory, matrices: context.matrices)
  let sums = try quantizedProduct(0, 1, firstZero: 2, secondZero: 3, inner)
  return try rescaled(sums, parts[1], context.tensor(2), bias: 4, context)
}

private func rescaled(
  _ sums: Tensor, _ first: Tensor, _ second: Tensor, bias: Int, _ context: EvaluationContext
) throws -> Tensor {
  let real = context.memory.floatType
  let factors = try combine(
    converted(first, to: real, context), converted(second, to: real, context), "Mul", context)
  var result = try combine(sums, factors, "Mul", context)
  if let bias = try context.optionalTensor(bias) {
    result = try combine(result, converted(bias, to: real, context), "Add", context)
  }
  return result
}
