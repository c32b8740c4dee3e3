import ModelGraph
import PollardBase
import TensorStorage

/// The tensor at other extents: the nearest elements, or weighted sums of neighbours along one axis after the other.
///
/// - Source: ONNX Resize-19 and Upsample-9; R. Keys 1981 for the cubic weights.
func evaluateResize(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let resizing = try Resizing(of: x, context)
  if resizing.target.contains(0) { return try context.memory.tensor(x.type, resizing.target, as: x.declaredType) }
  for extent in resizing.target { try context.checkSize([wide * 4, extent]) }
  if resizing.mode == "nearest" {
    return try x.picking(x.extents.indices.map(resizing.nearest), fill: resizing.fill(x, context), context.memory)
  }
  guard resizing.mode == "linear" || resizing.mode == "cubic" || resizing.mode == "bilinear" else {
    throw context.failure(.unsupported, expected: "nearest, linear or cubic", found: "\"\(resizing.mode)\"")
  }
  var result = try converted(x, to: .f64, context)
  for axis in x.extents.indices where !resizing.keeps(axis) {
    result = try resizing.interpolated(result, axis, context)
  }
  if resizing.transformation == "tf_crop_and_resize" {
    let positions = result.extents.indices.map { axis in
      (0..<result.extents[axis]).map { resizing.isOutside($0, axis) ? -1 : $0 }
    }
    let value = Tensor(doubles: [Double(context.node.float("extrapolation_value") ?? 0)], extents: [])
    result = try result.picking(positions, fill: value, context.memory)
  }
  return try converted(result, to: x.type, context)
}

/// How positions of the result correspond to positions of the operand.
private struct Resizing {
  let mode: String
  let transformation: String
  private let rounding: String
  private let antialias: Bool
  private let excludeOutside: Bool
  private let cubic: Double
  private let extents: [Int]
  private var scales: [Double]
  private(set) var target: [Int]
  private var roi: [(start: Double, end: Double)]

  init(of x: Tensor, _ context: EvaluationContext) throws {
    let node = context.node
    let isOld = node.op.name == "Upsample" || node.version < 11
    mode = node.string("mode") ?? "nearest"
    transformation = node.string("coordinate_transformation_mode") ?? (isOld ? "asymmetric" : "half_pixel")
    rounding = node.string("nearest_mode") ?? (isOld ? "old" : "round_prefer_floor")
    antialias = node.integer("antialias", default: 0) != 0
    excludeOutside = node.integer("exclude_outside", default: 0) != 0
    cubic = Double(node.float("cubic_coeff_a") ?? -0.75)
    extents = x.extents
    scales = x.extents.map { _ in 1 }
    target = x.extents
    roi = x.extents.map { _ in (0, 1) }
    let wanted = node.integers("axes") ?? Array(0..<x.rank)
    let axes = try wanted.map { try context.axis($0, rank: x.rank) }
    let (scaleSlot, sizeSlot) = isOld ? (1, 3) : (2, 3)
    let given = isOld && !context.has(1) ? node.floats("scales")?.map { Double($0) } : nil
    let factors = try given ?? context.optionalTensor(scaleSlot)?.doubles() ?? []
    if !isOld, let region = try context.optionalTensor(1), region.elementCount == 2 * axes.count {
      let values = region.doubles()
      guard values.allSatisfy({ abs($0) < 1_048_576 }) else {
        throw context.failure(expected: "a region of relative positions", found: "\(values)")
      }
      for (index, axis) in axes.enumerated() { roi[axis] = (values[index], values[axes.count + index]) }
    }
    if !isOld, context.has(sizeSlot), factors.isEmpty {
      try readSizes(context.integers(sizeSlot), axes, context)
    } else {
      guard factors.count == axes.count, factors.allSatisfy({ $0 > 0 && $0.isFinite }) else {
        throw context.failure(expected: "\(axes.count) scales above 0", found: "\(factors)")
      }
      for (factor, axis) in zip(factors, axes) {
        scales[axis] = factor
        guard let size = Int(exactly: (Double(x.extents[axis]) * factor).rounded(.down)) else {
          throw context.failure(.tooLarge, expected: "a countable extent", found: "scale \(factor)")
        }
        target[axis] = size
      }
    }
    try context.checkView(x.type, target)
    guard !x.extents.contains(0) || target == x.extents else {
      throw context.failure(expected: "elements to resize", found: "\(x.extents)")
    }
  }

  private mutating func readSizes(_ sizes: [Int], _ axes: [Int], _ context: EvaluationContext) throws {
    guard sizes.count == axes.count, sizes.allSatisfy({ $0 >= 0 }), axes.allSatisfy({ extents[$0] > 0 }) else {
      throw context.failure(expected: "\(axes.count) sizes of 0 or more", found: "\(sizes)")
    }
    var ratios = zip(sizes, axes).map { Double($0) / Double(extents[$1]) }
    let policy = context.node.string("keep_aspect_ratio_policy") ?? "stretch"
    if policy != "stretch" {
      let common = (policy == "not_larger" ? ratios.min() : ratios.max()) ?? 1
      ratios = ratios.map { _ in common }
    }
    for (index, axis) in axes.enumerated() {
      scales[axis] = ratios[index]
      target[axis] = sizes[index]
      guard policy != "stretch" else { continue }
      guard let size = Int(exactly: (ratios[index] * Double(extents[axis]) + 0.5).rounded(.down)) else {
        throw context.failure(.tooLarge, expected: "a countable extent", found: "\(sizes)")
      }
      target[axis] = size
    }
  }

  /// Whether an axis is as it was.
  func keeps(_ axis: Int) -> Bool {
    target[axis] == extents[axis] && scales[axis] == 1 && transformation != "tf_crop_and_resize"
  }

  /// The place in the operand of a position of the result.
  private func source(_ position: Int, _ axis: Int) -> Double {
    let (x, scale, extent) = (Double(position), scales[axis], Double(extents[axis]))
    let width = scale * extent
    switch transformation {
    case "align_corners": return width == 1 ? 0 : x * (extent - 1) / (width - 1)
    case "asymmetric": return x / scale
    case "tf_half_pixel_for_nn": return (x + 0.5) / scale
    case "tf_crop_and_resize":
      let (start, end) = roi[axis]
      if width == 1 { return (start + end) * (extent - 1) / 2 }
      return start * (extent - 1) + x * (end - start) * (extent - 1) / (width - 1)
    case "pytorch_half_pixel": return width == 1 ? -0.5 : (x + 0.5) / scale - 0.5
    case "half_pixel_symmetric":
      return extent / 2 * (1 - Double(target[axis]) / width) + (x + 0.5) / scale - 0.5
    default: return (x + 0.5) / scale - 0.5
    }
  }

  func isOutside(_ position: Int, _ axis: Int) -> Bool {
    let place = source(position, axis)
    return place < 0 || place > Double(extents[axis] - 1)
  }

  /// The nearest position for each position of the result; -1 where the operand has none.
  func nearest(_ axis: Int) -> [Int] {
    if keeps(axis) { return Array(0..<extents[axis]) }
    return (0..<target[axis]).map { position in
      if transformation == "tf_crop_and_resize", isOutside(position, axis) { return -1 }
      let place = source(position, axis)
      let rounded =
        switch rounding {
        case "floor": place.rounded(.down)
        // Before version 11 nothing is said; ONNX Runtime takes the next element where the axis shrinks.
        case "old": place.rounded(scales[axis] < 1 ? .up : .down)
        case "ceil": place.rounded(.up)
        case "round_prefer_ceil": (place + 0.5).rounded(.down)
        default: (place - 0.5).rounded(.up)
        }
      return Int(min(max(rounded, 0), Double(extents[axis] - 1)))
    }
  }

  func fill(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor? {
    guard transformation == "tf_crop_and_resize" else { return nil }
    return try converted(
      Tensor(floats: [context.node.float("extrapolation_value") ?? 0], extents: []), to: x.type, context)
  }

  /// The weights of neighbouring positions, from `first` on, which may lie outside.
  private func weights(at place: Double, _ axis: Int) -> (first: Int, weights: [Double]) {
    let isCubic = mode == "cubic"
    let scale = antialias ? min(scales[axis], 1) : 1
    let reach = isCubic ? 2.0 : 1.0
    let base = place.rounded(.down)
    let first = Int((-reach / scale).rounded(.down)) + 1
    let ratio = place - base
    // As many neighbours before as after; at a whole place one more than the weights reach.
    var values = (first..<(2 - first)).map { step -> Double in
      let distance = abs((Double(step) - ratio) * scale)
      return isCubic ? cubicWeight(distance) : max(0, 1 - distance)
    }
    if excludeOutside {
      for index in values.indices where !(0..<extents[axis]).contains(Int(base) + first + index) { values[index] = 0 }
    }
    if antialias || excludeOutside {
      let sum = values.reduce(0, +)
      values = values.map { $0 / sum }
    }
    return (Int(base) + first, values)
  }

  private func cubicWeight(_ x: Double) -> Double {
    if x <= 1 { return ((cubic + 2) * x - (cubic + 3)) * x * x + 1 }
    return x < 2 ? ((cubic * x - 5 * cubic) * x + 8 * cubic) * x - 4 * cubic : 0
  }

  /// One axis of a tensor in double precision at its new extent.
  func interpolated(_ x: Tensor, _ axis: Int, _ context: EvaluationContext) throws -> Tensor {
    var extents = x.extents
    extents[axis] = target[axis]
    let result = try context.memory.tensor(.f64, extents)
    let dense = x.contiguous(context.memory)
    let inner = x.extents[(axis + 1)...].reduce(1, *)
    let outer = x.extents[..<axis].reduce(1, *)
    let length = x.extents[axis]
    let taps = (0..<target[axis]).map { weights(at: source($0, axis), axis) }
    nonisolated(unsafe) let from = dense.pointer(Double.self)
    nonisolated(unsafe) let to = result.written(Double.self)
    forEachStep(outer * taps.count, size: inner * 4, context.pool) { step in
      let (block, position) = step.quotientAndRemainder(dividingBy: taps.count)
      let (first, weights) = taps[position]
      for place in 0..<inner {
        var sum = 0.0
        for (index, weight) in weights.enumerated() {
          sum += weight * from[(block * length + min(max(first + index, 0), length - 1)) * inner + place]
        }
        to[step * inner + place] = sum
      }
    }
    withExtendedLifetime(dense) {}
    return result
  }
}
