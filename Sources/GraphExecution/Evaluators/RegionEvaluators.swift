import ModelGraph
import PollardBase
import TensorStorage

/// Regions of images pooled to one extent, elements between positions being weighted sums of their neighbours.
///
/// - x: `[N, C, H, W]`; regions: `[R, 4]` as x1, y1, x2, y2; images: `[R]`; y: `[R, C, output_height, output_width]`.
/// - Source: ONNX RoiAlign-22; He et al. 2017, "Mask R-CNN", section 3.
func evaluateRegionAlignment(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let (x, regions, images) = (try context.tensor(0), try context.tensor(1), try context.integers(2))
  guard x.rank == 4, regions.extents == [images.count, 4], images.allSatisfy({ (0..<x.extents[0]).contains($0) }) else {
    throw context.failure(
      expected: "[N, C, H, W], [R, 4] and R numbers of images", found: "\(x.extents), \(regions.extents), \(images)")
  }
  let (rows, columns) = (node.integer("output_height", default: 1), node.integer("output_width", default: 1))
  let ratio = node.integer("sampling_ratio", default: 0)
  guard (1..<1 << 20).contains(rows), (1..<1 << 20).contains(columns), (0..<1 << 16).contains(ratio) else {
    throw context.failure(expected: "extents of a region", found: "\(rows), \(columns), \(ratio)")
  }
  let scale = Double(node.float("spatial_scale") ?? 1)
  let isShifted = node.version >= 16 && node.string("coordinate_transformation_mode") != "output_half_pixel"
  let isMaximum = node.string("mode") == "max"
  let (channels, height, width) = (x.extents[1], x.extents[2], x.extents[3])
  try context.checkSize([wide, images.count, max(channels, 1), rows, columns])
  let (values, boxes) = (x.doubles(), regions.doubles())
  var results: [Double] = []
  results.reserveCapacity(images.count * channels * rows * columns)
  for (region, image) in images.enumerated() {
    let shift = isShifted ? 0.5 : 0
    let bounds = (0..<4).map { boxes[region * 4 + $0] * scale - shift }
    guard bounds.allSatisfy({ $0.isFinite && abs($0) < 1e9 }) else {
      throw context.failure(expected: "a region of an image", found: "\(bounds)")
    }
    let least = isShifted ? -Double.infinity : 1
    let stepX = max(bounds[2] - bounds[0], least) / Double(columns)
    let stepY = max(bounds[3] - bounds[1], least) / Double(rows)
    let samples = (
      y: ratio > 0 ? ratio : max(0, Int(stepY.rounded(.up))), x: ratio > 0 ? ratio : max(0, Int(stepX.rounded(.up)))
    )
    try context.checkSize([wide, rows, columns, max(samples.y, 1), max(samples.x, 1), 4])
    var taps: [[(offset: Int, weight: Double)]] = []
    for place in 0..<rows * columns {
      for sample in 0..<samples.y * samples.x {
        let y =
          bounds[1] + Double(place / columns) * stepY
          + (Double(sample / samples.x) + 0.5) * stepY / Double(samples.y)
        let x =
          bounds[0] + Double(place % columns) * stepX
          + (Double(sample % samples.x) + 0.5) * stepX / Double(samples.x)
        taps.append(neighbours(y, x, height, width))
      }
    }
    let count = samples.y * samples.x
    for channel in 0..<channels {
      let base = (image * channels + channel) * height * width
      for place in 0..<rows * columns {
        var sum = 0.0
        var largest = count == 0 ? 0 : -Double.infinity
        for sample in taps[place * count..<(place + 1) * count] {
          if sample.isEmpty { largest = max(largest, 0) }
          for tap in sample {
            let term = tap.weight * values[base + tap.offset]
            sum += term
            largest = max(largest, term)
          }
        }
        results.append(isMaximum ? largest : sum / Double(max(count, 1)))
      }
    }
  }
  return try converted(Tensor(doubles: results, extents: [images.count, channels, rows, columns]), to: x.type, context)
}

/// The four elements around a place and their weights; none more than one position outside.
private func neighbours(_ y: Double, _ x: Double, _ height: Int, _ width: Int) -> [(offset: Int, weight: Double)] {
  if y < -1 || y > Double(height) || x < -1 || x > Double(width) || height == 0 || width == 0 { return [] }
  func split(_ place: Double, _ extent: Int) -> (low: Int, high: Int, rest: Double) {
    let held = max(place, 0)
    let low = Int(held)
    return low >= extent - 1 ? (extent - 1, extent - 1, 0) : (low, low + 1, held - Double(low))
  }
  let (row, column) = (split(y, height), split(x, width))
  return [
    (row.low * width + column.low, (1 - row.rest) * (1 - column.rest)),
    (row.low * width + column.high, (1 - row.rest) * column.rest),
    (row.high * width + column.low, row.rest * (1 - column.rest)),
    (row.high * width + column.high, row.rest * column.rest),
  ]
}

/// The largest elements in the parts of regions of images.
///
/// - x: `[N, C, H, W]`; regions: `[R, 5]` as image, x1, y1, x2, y2; y: `[R, C, pooled_shape]`.
/// - Source: ONNX MaxRoiPool-22; Girshick 2015, "Fast R-CNN".
func evaluateRegionPooling(_ context: EvaluationContext) throws -> Tensor {
  let (x, regions) = (try context.tensor(0), try context.tensor(1))
  let shape = context.node.integers("pooled_shape") ?? []
  guard x.rank == 4, regions.rank == 2, regions.extents[1] == 5, shape.count == 2,
    shape.allSatisfy({ (1..<1 << 20).contains($0) })
  else {
    throw context.failure(
      expected: "[N, C, H, W], [R, 5] and two extents", found: "\(x.extents), \(regions.extents), \(shape)")
  }
  let scale = Double(context.node.float("spatial_scale") ?? 1)
  let (channels, height, width) = (x.extents[1], x.extents[2], x.extents[3])
  let count = regions.extents[0]
  try context.checkSize([wide, count, max(channels, 1)] + shape)
  let (values, boxes) = (x.doubles(), regions.doubles())
  var results: [Double] = []
  for region in 0..<count {
    let numbers = try (0..<5).map { index -> Int in
      let number = (boxes[region * 5 + index] * (index == 0 ? 1 : scale)).rounded(.toNearestOrAwayFromZero)
      guard let whole = Int(exactly: number), abs(whole) < 1 << 31 else {
        throw context.failure(expected: "a region of an image", found: "\(number)")
      }
      return whole
    }
    guard (0..<x.extents[0]).contains(numbers[0]) else {
      throw context.failure(.indexOutOfRange, expected: "one of \(x.extents[0]) images", found: "\(numbers[0])")
    }
    let steps = [
      Double(max(numbers[4] - numbers[2] + 1, 1)) / Double(shape[0]),
      Double(max(numbers[3] - numbers[1] + 1, 1)) / Double(shape[1]),
    ]
    func range(_ place: Int, _ axis: Int, _ start: Int, _ extent: Int) -> Range<Int> {
      let first = start + Int((Double(place) * steps[axis]).rounded(.down))
      let end = start + Int((Double(place + 1) * steps[axis]).rounded(.up))
      let low = min(max(first, 0), extent)
      return low..<max(low, min(max(end, 0), extent))
    }
    for channel in 0..<channels {
      let base = (numbers[0] * channels + channel) * height * width
      for row in 0..<shape[0] {
        for column in 0..<shape[1] {
          var largest: Double?
          for y in range(row, 0, numbers[2], height) {
            for x in range(column, 1, numbers[1], width) {
              let value = values[base + y * width + x]
              largest = max(largest ?? value, value)
            }
          }
          results.append(largest ?? 0)
        }
      }
    }
  }
  return try converted(Tensor(doubles: results, extents: [count, channels] + shape), to: x.type, context)
}

/// Boxes by falling score, without those that overlap a chosen one too much: image, class and box of each.
///
/// - boxes: `[N, S, 4]`; scores: `[N, C, S]`; y: `[chosen, 3]`.
/// - Source: ONNX NonMaxSuppression-11.
func evaluateSuppression(_ context: EvaluationContext) throws -> Tensor {
  let (boxes, scores) = (try context.tensor(0), try context.tensor(1))
  guard boxes.rank == 3, scores.rank == 3, boxes.extents[2] == 4, boxes.extents[0] == scores.extents[0],
    boxes.extents[1] == scores.extents[2]
  else {
    throw context.failure(expected: "[N, S, 4] and [N, C, S]", found: "\(boxes.extents) and \(scores.extents)")
  }
  let limit = context.has(2) ? try context.integers(2).first ?? 0 : 0
  let overlap = try context.optionalTensor(3)?.floats().first ?? 0
  let threshold = try context.optionalTensor(4)?.floats().first
  let isCentred = context.node.integer("center_point_box", default: 0) != 0
  let (numbers, values) = (boxes.floats(), scores.floats())
  let (classes, count) = (scores.extents[1], boxes.extents[1])
  var chosen: [Int64] = []
  for image in 0..<boxes.extents[0] {
    let areas = (0..<count).map { box in
      Box(Array(numbers[(image * count + box) * 4..<(image * count + box) * 4 + 4]), isCentred: isCentred)
    }
    for kind in 0..<classes {
      let start = (image * classes + kind) * count
      // Equal scores keep the order of the boxes.
      let order = (0..<count).filter { box in threshold.map { values[start + box] > $0 } ?? true }
        .sorted { (values[start + $1], $0) < (values[start + $0], $1) }
      var kept: [Int] = []
      for box in order where kept.count < limit && !kept.contains(where: { areas[$0].overlaps(areas[box], overlap) }) {
        kept.append(box)
      }
      for box in kept { chosen += [Int64(image), Int64(kind), Int64(box)] }
    }
  }
  return Tensor(integers: chosen, extents: [chosen.count / 3, 3])
}

/// A box by its corners.
private struct Box {
  private let low: (y: Float, x: Float)
  private let high: (y: Float, x: Float)

  /// - Parameter numbers: two opposite corners y, x, y, x, or the centre x, y and the extents x, y.
  init(_ numbers: [Float], isCentred: Bool) {
    if isCentred {
      let (x, y, width, height) = (numbers[0], numbers[1], numbers[2] / 2, numbers[3] / 2)
      (low, high) = ((y - height, x - width), (y + height, x + width))
    } else {
      low = (min(numbers[0], numbers[2]), min(numbers[1], numbers[3]))
      high = (max(numbers[0], numbers[2]), max(numbers[1], numbers[3]))
    }
  }

  private var area: Float { (high.y - low.y) * (high.x - low.x) }

  /// Whether the common part is more than a share of both together.
  func overlaps(_ other: Box, _ share: Float) -> Bool {
    let height = min(high.y, other.high.y) - max(low.y, other.low.y)
    let width = min(high.x, other.high.x) - max(low.x, other.low.x)
    guard height > 0, width > 0, area > 0, other.area > 0 else { return false }
    let common = height * width
    let union = area + other.area - common
    return union > 0 && common / union > share
  }
}

extension EvaluatorTable {
  static let regions: [OperatorName: Evaluator] = [
    OperatorName("GridSample"): { [try evaluateGridSample($0)] },
    OperatorName("RoiAlign"): { [try evaluateRegionAlignment($0)] },
    OperatorName("MaxRoiPool"): { [try evaluateRegionPooling($0)] },
    OperatorName("NonMaxSuppression"): { [try evaluateSuppression($0)] },
    OperatorName("MaxUnpool"): { [try evaluateUnpooling($0)] },
    OperatorName("Col2Im"): { [try evaluateColumnsToImage($0)] },
    OperatorName("DeformConv"): { [try evaluateDeformableConvolution($0)] },
  ]
}
