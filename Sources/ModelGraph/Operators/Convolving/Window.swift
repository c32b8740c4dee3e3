import PollardBase

/// How a window moves over the places of a convolution or a pooling: attributes `kernel_shape`, `strides`, `dilations`, `pads`, `auto_pad`.
struct Window: Sendable {
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  /// Padding before and after each axis.
  let pads: [(before: Int, after: Int)]
  let autoPad: String
  let roundsUp: Bool

  /// Nil when the attributes do not fit the number of axes.
  init?(_ node: Node, kernel: [Int]?) {
    guard let kernel = node.integers("kernel_shape") ?? kernel, kernel.allSatisfy({ $0 > 0 && $0 < 1 << 30 }) else {
      return nil
    }
    let count = kernel.count
    let ones = Array(repeating: 1, count: count)
    let pads = node.integers("pads") ?? Array(repeating: 0, count: 2 * count)
    strides = node.integers("strides") ?? ones
    dilations = node.integers("dilations") ?? ones
    guard strides.count == count, dilations.count == count, pads.count == 2 * count,
      (strides + dilations).allSatisfy({ $0 > 0 && $0 < 1 << 30 }), pads.allSatisfy({ $0 > -(1 << 30) && $0 < 1 << 30 })
    else { return nil }
    self.kernel = kernel
    self.pads = (0..<count).map { (pads[$0], pads[$0 + count]) }
    autoPad = node.string("auto_pad") ?? "NOTSET"
    roundsUp = node.integer("ceil_mode", default: 0) != 0
  }

  /// Whether padding adds places along some axis.
  var isPadded: Bool { autoPad.hasPrefix("SAME") || roundsUp || autoPad == "NOTSET" && pads.contains { $0 != (0, 0) } }

  /// The number of places of the window along an axis.
  func extent(_ axis: Int, of size: Size, _ context: InferenceContext) -> Size {
    let reach = (kernel[axis] - 1) * dilations[axis] + 1
    if autoPad.hasPrefix("SAME") {
      if strides[axis] == 1 { return size }
      if let known = size.constant, known >= 0, known < 1 << 40 {
        return Size((known + strides[axis] - 1) / strides[axis])
      }
      return context.freshSize(size, Size(strides[axis]))
    }
    let padding = autoPad == "VALID" ? 0 : pads[axis].before + pads[axis].after
    guard let rest = size.adding(Size(padding - reach)) else { return context.dataDependentSize(".\(axis)") }
    if strides[axis] == 1, let result = rest.adding(1) { return result }
    if let known = rest.constant, known < 1 << 40 {
      if known < 0 { return Size(0) }
      var count = (roundsUp ? known + strides[axis] - 1 : known) / strides[axis] + 1
      // A window that would start in the padding behind the places is left out.
      if roundsUp, let places = size.constant, (count - 1) * strides[axis] >= places + pads[axis].before { count -= 1 }
      return Size(count)
    }
    if !roundsUp, let quotient = rest.adding(Size(reach - padding))?.dividedExactly(by: Size(strides[axis])),
      reach == strides[axis], padding == 0
    {
      return quotient
    }
    return context.freshSize(rest, Size(strides[axis]), Size(roundsUp ? 1 : 0))
  }
}
