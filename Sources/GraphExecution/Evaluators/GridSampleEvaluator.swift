import ModelGraph
import PollardBase
import TensorStorage

/// Elements of images at places that a grid names, between -1 and 1 along each axis: the nearest, or weighted sums of neighbours.
///
/// - x: `[N, C, D1, …, Dr]`; grid: `[N, E1, …, Er, r]`, the innermost axis first; y: `[N, C, E1, …, Er]`.
/// - Source: ONNX GridSample-22; R. Keys 1981 for the cubic weights (a = -0.75).
func evaluateGridSample(_ context: EvaluationContext) throws -> Tensor {
  let (x, grid) = (try context.tensor(0), try context.tensor(1))
  let rank = x.rank - 2
  guard (1...3).contains(rank), grid.rank == x.rank, grid.extents[rank + 1] == rank, grid.extents[0] == x.extents[0],
    !x.extents.dropFirst(2).contains(0)
  else { throw context.failure(expected: "[N, C, …] and [N, …, \(rank)]", found: "\(x.extents) and \(grid.extents)") }
  let sampling = try GridSampling(x, context)
  let output = Array(grid.extents[1...rank])
  let count = try context.elementCount(output)
  let (batch, channels) = (x.extents[0], x.extents[1])
  try context.checkSize([wide, batch, max(channels, 1), count])
  let (values, places) = (x.doubles(), grid.doubles())
  let plane = sampling.extents.reduce(1, *)
  var results = Array(repeating: 0.0, count: batch * channels * count)
  for image in 0..<batch {
    for place in 0..<count {
      let start = (image * count + place) * rank
      let taps = sampling.taps(Array(places[start..<start + rank].reversed()))
      for channel in 0..<channels {
        let base = (image * channels + channel) * plane
        var sum = 0.0
        for tap in taps { sum += tap.weight * values[base + tap.offset] }
        results[(image * channels + channel) * count + place] = sum
      }
    }
  }
  return try converted(Tensor(doubles: results, extents: [batch, channels] + output), to: x.type, context)
}

/// How places of a grid become elements of an image and their weights.
private struct GridSampling {
  let extents: [Int]
  private let mode: String
  private let padding: String
  private let alignsCorners: Bool

  init(_ x: Tensor, _ context: EvaluationContext) throws {
    extents = Array(x.extents.dropFirst(2))
    mode = context.node.string("mode") ?? "linear"
    padding = context.node.string("padding_mode") ?? "zeros"
    alignsCorners = context.node.integer("align_corners", default: 0) != 0
    guard ["linear", "bilinear", "nearest", "cubic", "bicubic"].contains(mode),
      ["zeros", "border", "reflection"].contains(padding)
    else {
      throw context.failure(
        .unsupported, expected: "a known mode and padding_mode", found: "\"\(mode)\" and \"\(padding)\"")
    }
  }

  /// The elements to take, by their offset within a channel, and their weights; `place` is outermost axis first.
  func taps(_ place: [Double]) -> [(offset: Int, weight: Double)] {
    var result: [(offset: Int, weight: Double)] = [(0, 1)]
    for (axis, number) in place.enumerated() {
      let neighbours = neighbours(number, axis)
      let extent = extents[axis]
      result = result.flatMap { tap in
        neighbours.map { (offset: tap.offset * extent + $0.position, weight: tap.weight * $0.weight) }
      }
    }
    return result
  }

  /// The positions along one axis and their weights; those outside are left out where zeros stand there.
  private func neighbours(_ number: Double, _ axis: Int) -> [(position: Int, weight: Double)] {
    let extent = Double(extents[axis])
    var place = alignsCorners ? (number + 1) / 2 * (extent - 1) : ((number + 1) * extent - 1) / 2
    // What is no place at all lies outside of every image.
    guard place.isFinite, abs(place) < 1e15 else { return [] }
    let isCubic = mode == "cubic" || mode == "bicubic"
    if !isCubic, padding == "border" { place = min(max(place, 0), extent - 1) }
    if !isCubic, padding == "reflection" { place = reflected(place, axis) }
    var weighted: [(Double, Double)] = []
    let base = place.rounded(.down)
    let rest = place - base
    switch mode {
    case "nearest": weighted = [(place.rounded(.toNearestOrEven), 1)]
    case "linear", "bilinear": weighted = [(base, 1 - rest), (base + 1, rest)]
    default: weighted = (-1...2).map { (base + Double($0), cubicWeight(abs(Double($0) - rest))) }
    }
    return weighted.compactMap { position, weight in
      var position = position
      switch padding {
      case "border": position = min(max(position, 0), extent - 1)
      case "reflection": position = min(max(reflected(position, axis).rounded(.towardZero), 0), extent - 1)
      default: if position < 0 || position > extent - 1 { return nil }
      }
      return (Int(position), weight)
    }
  }

  /// A place thrown back at the borders of the image until it is inside.
  private func reflected(_ place: Double, _ axis: Int) -> Double {
    let low = alignsCorners ? 0 : -0.5
    let high = alignsCorners ? Double(extents[axis] - 1) : Double(extents[axis]) - 0.5
    let range = high - low
    if range <= 0 { return low }
    if place >= low, place <= high { return place }
    let distance = place < low ? low - place : place - high
    let turns = (distance / range).rounded(.down)
    let left = distance - turns * range
    let isEven = turns.truncatingRemainder(dividingBy: 2) == 0
    return (place < low) == isEven ? low + left : high - left
  }

  private func cubicWeight(_ x: Double) -> Double {
    let a = -0.75
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}
