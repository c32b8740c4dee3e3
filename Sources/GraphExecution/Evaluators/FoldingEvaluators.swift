import ModelGraph
import PollardBase
import TensorStorage

/// Elements put back to where a pooling took them from; zeros elsewhere.
///
/// - x, places: `[N, C, D1, …]`, places counted in the whole of the result; y: `[N, C, E1, …]`, or `output_shape`, which has more positions
///   at the ends.
/// - Source: ONNX MaxUnpool-22.
func evaluateUnpooling(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let (x, places) = (try context.tensor(0), try context.integers(1))
  let rank = x.rank - 2
  let kernel = node.integers("kernel_shape") ?? []
  let strides = node.integers("strides") ?? kernel.map { _ in 1 }
  let pads = node.integers("pads") ?? Array(repeating: 0, count: 2 * kernel.count)
  let limit = 1 << 31
  guard rank >= 1, kernel.count == rank, strides.count == rank, pads.count == 2 * rank, places.count == x.elementCount,
    (kernel + strides + x.extents).allSatisfy({ $0 >= 0 && $0 < limit }), pads.allSatisfy({ (0..<limit).contains($0) })
  else {
    throw context.failure(
      expected: "a place for each element and \(rank) extents and strides", found: "\(kernel), \(strides), \(pads)")
  }
  var extents = Array(x.extents[..<2])
  for axis in 0..<rank {
    extents.append((x.extents[axis + 2] - 1) * strides[axis] - pads[axis] - pads[rank + axis] + kernel[axis])
  }
  guard extents.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "pads within the result", found: "\(pads)")
  }
  try context.checkView(x.type, extents)
  try context.checkSize([wide] + extents)
  let count = try context.elementCount(extents)
  guard places.allSatisfy({ (0..<count).contains($0) }) else {
    throw context.failure(.indexOutOfRange, expected: "places below \(count)", found: "others")
  }
  var source = Array(repeating: 0, count: count)
  for (index, place) in places.enumerated() { source[place] = index + 1 }
  let zero = try converted(Tensor(floats: [0], extents: [1]), to: x.type, context)
  let padded = try concatenated([zero, x.reshaped([x.elementCount], context.memory)], axis: 0, context)
  let result = try padded.picking([source], context.memory).reshaped(extents, context.memory)
  guard context.has(2) else { return result }
  let wanted = try context.integers(2)
  guard wanted.count == extents.count, zip(wanted, extents).allSatisfy({ $0 >= $1 }) else {
    throw context.failure(expected: "an output shape of at least \(extents)", found: "\(wanted)")
  }
  try context.checkSize([wide] + wanted)
  try context.checkView(x.type, wanted)
  let positions = zip(wanted, extents).map { total, extent in (0..<total).map { $0 < extent ? $0 : -1 } }
  return try result.picking(positions, fill: zero, context.memory)
}

/// Blocks put side by side, overlaps added.
///
/// - x: `[N, C · block, places]`; y: `[N, C, image_shape]`.
/// - Source: ONNX Col2Im-18.
func evaluateColumnsToImage(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let x = try context.tensor(0)
  let (image, block) = (try context.integers(1), try context.integers(2))
  let rank = image.count
  let dilations = node.integers("dilations") ?? image.map { _ in 1 }
  let strides = node.integers("strides") ?? image.map { _ in 1 }
  let pads = node.integers("pads") ?? Array(repeating: 0, count: 2 * rank)
  let limit = 1 << 31
  guard x.rank == 3, rank > 0, block.count == rank, dilations.count == rank, strides.count == rank,
    pads.count == 2 * rank, (image + block + dilations + strides).allSatisfy({ $0 > 0 && $0 < limit }),
    pads.allSatisfy({ (0..<limit).contains($0) })
  else { throw context.failure(expected: "[N, C · block, places]", found: "\(x.extents), \(image), \(block)") }
  let size = try context.elementCount(block)
  let counts = (0..<rank).map { axis in
    let room = image[axis] + pads[axis] + pads[rank + axis] - dilations[axis] * (block[axis] - 1) - 1
    return room < 0 ? 0 : room / strides[axis] + 1
  }
  let places = try context.elementCount(counts)
  guard size > 0, x.extents[1] % size == 0, x.extents[2] == places else {
    throw context.failure(expected: "[N, C · \(size), \(places)]", found: "\(x.extents)")
  }
  let (batch, channels) = (x.extents[0], x.extents[1] / size)
  if batch * channels == 0 { return try context.memory.tensor(x.type, [batch, channels] + image) }
  try context.checkSize([wide, max(batch, 1), max(channels, 1)] + image)
  let values = x.doubles()
  let plane = image.reduce(1, *)
  let dense = rowMajorStrides(image)
  var result = Array(repeating: 0.0, count: batch * channels * plane)
  forEachPosition(block) { part, offset in
    forEachPosition(counts) { place, at in
      var target = 0
      for axis in 0..<rank {
        let position = at[axis] * strides[axis] - pads[axis] + offset[axis] * dilations[axis]
        if !(0..<image[axis]).contains(position) { return }
        target += position * dense[axis]
      }
      for channel in 0..<batch * channels {
        result[channel * plane + target] += values[(channel * size + part) * places + place]
      }
    }
  }
  return try converted(Tensor(doubles: result, extents: [batch, channels] + image), to: x.type, context)
}

/// A convolution whose taps are moved by numbers of an operand, and weighted by another.
///
/// - x: `[N, C, H, W]`; w: `[O, C / group, kH, kW]`; offsets: `[N, offset_group · kH · kW · 2, oH, oW]`, the row's first; bias: `[O]`;
///   mask: `[N, offset_group · kH · kW, oH, oW]`; y: `[N, O, oH, oW]`.
/// - Source: ONNX DeformConv-22; Zhu et al. 2019, "Deformable ConvNets v2", eq. 2.
func evaluateDeformableConvolution(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let (x, w, offsets) = (try context.tensor(0), try context.tensor(1), try context.tensor(2))
  guard x.rank == 4, w.rank == 4 else {
    throw context.failure(expected: "[N, C, H, W] and [O, C / group, kH, kW]", found: "\(x.extents), \(w.extents)")
  }
  let window = try SlidingWindow(of: x, kernel: Array(w.extents[2...]), context)
  let group = node.integer("group", default: 1)
  let parts = node.integer("offset_group", default: 1)
  let (batch, channels, count) = (x.extents[0], x.extents[1], w.extents[0])
  let taps = try context.elementCount(window.kernel)
  try context.checkSize([wide, max(taps, 1), max(parts, 1)])
  guard group > 0, parts > 0, channels % group == 0, count % group == 0, channels % parts == 0,
    w.extents[1] == channels / group, offsets.extents == [batch, parts * taps * 2] + window.output
  else { throw context.failure(expected: "offsets for \(window.output)", found: "\(offsets.extents), \(w.extents)") }
  let mask = try context.optionalTensor(4)
  guard mask.map({ $0.extents == [batch, parts * taps] + window.output }) ?? true else {
    throw context.failure(expected: "a mask for \(window.output)", found: "\(mask?.extents ?? [])")
  }
  let places = window.output.reduce(1, *)
  try context.checkSize([wide, max(batch, 1), max(count, channels) * max(taps, 1), max(places, 1)])
  let (values, weights, moves) = (x.doubles(), w.doubles(), offsets.doubles())
  let (scales, bias) = (mask?.doubles(), try context.optionalTensor(3)?.doubles())
  guard bias.map({ $0.count == count }) ?? true else {
    throw context.failure(expected: "\(count) numbers of bias", found: "\(bias?.count ?? 0)")
  }
  let (height, width) = (x.extents[2], x.extents[3])
  var result: [Double] = []
  result.reserveCapacity(batch * count * places)
  for image in 0..<batch {
    // The sampled operand: one row for each channel and tap.
    var samples = Array(repeating: 0.0, count: channels * taps * places)
    for part in 0..<parts {
      for tap in 0..<taps {
        for place in 0..<places {
          let start = ((image * parts + part) * taps + tap) * 2
          let y =
            Double(place / window.output[1] * window.strides[0] - window.before[0])
            + Double(tap / window.kernel[1] * window.dilations[0]) + moves[start * places + place]
          let x =
            Double(place % window.output[1] * window.strides[1] - window.before[1])
            + Double(tap % window.kernel[1] * window.dilations[1]) + moves[(start + 1) * places + place]
          let scale = scales?[((image * parts + part) * taps + tap) * places + place] ?? 1
          let corners = corners(y, x, height, width)
          for channel in part * (channels / parts)..<(part + 1) * (channels / parts) {
            let base = (image * channels + channel) * height * width
            var sum = 0.0
            for corner in corners { sum += corner.weight * values[base + corner.offset] }
            samples[(channel * taps + tap) * places + place] = sum * scale
          }
        }
      }
    }
    let inner = channels / group * taps
    for output in 0..<count {
      let first = output / (count / group) * inner
      for place in 0..<places {
        var sum = 0.0
        for term in 0..<inner { sum += weights[output * inner + term] * samples[(first + term) * places + place] }
        result.append(sum + (bias?[output] ?? 0))
      }
    }
  }
  return try converted(Tensor(doubles: result, extents: [batch, count] + window.output), to: x.type, context)
}

/// The elements around a place that are inside of the image, and their weights.
private func corners(_ y: Double, _ x: Double, _ height: Int, _ width: Int) -> [(offset: Int, weight: Double)] {
  guard y > -1, x > -1, y < Double(height), x < Double(width) else { return [] }
  let (top, left) = (y.rounded(.down), x.rounded(.down))
  var result: [(offset: Int, weight: Double)] = []
  for (row, vertical) in [(Int(top), 1 - (y - top)), (Int(top) + 1, y - top)] where (0..<height).contains(row) {
    for (column, horizontal) in [(Int(left), 1 - (x - left)), (Int(left) + 1, x - left)]
    where (0..<width).contains(column) {
      result.append((row * width + column, vertical * horizontal))
    }
  }
  return result
}
