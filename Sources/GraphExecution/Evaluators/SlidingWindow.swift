import ModelGraph
import PollardBase
import TensorStorage

/// How a window moves over the spatial axes of a tensor `[N, C, D1, …]`: one number for each of them.
struct SlidingWindow {
  /// The extents of the operand.
  let input: [Int]
  /// The extents of the window.
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  /// Positions before the first one.
  private(set) var before: [Int]
  /// Positions after the last one.
  private(set) var after: [Int]
  /// The extents of the result.
  private(set) var output: [Int]

  /// Reads the attributes of a convolution or pooling.
  init(of x: Tensor, kernel: [Int], _ context: EvaluationContext) throws {
    let node = context.node
    guard x.rank >= 3 else { throw context.failure(expected: "[N, C, D1, …]", found: "\(x.extents)") }
    input = Array(x.extents.dropFirst(2))
    let rank = input.count
    self.kernel = kernel
    strides = node.integers("strides") ?? Array(repeating: 1, count: rank)
    dilations = node.integers("dilations") ?? Array(repeating: 1, count: rank)
    let pads = node.integers("pads") ?? Array(repeating: 0, count: 2 * rank)
    let limit = 1 << 31
    guard kernel.count == rank, strides.count == rank, dilations.count == rank, pads.count == 2 * rank,
      (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 < limit }), input.allSatisfy({ $0 < limit }),
      pads.allSatisfy({ $0 > -limit && $0 < limit })
    else {
      throw context.failure(
        expected: "\(rank) extents, strides and dilations of 1 or more, and \(2 * rank) pads",
        found: "\(kernel), \(strides), \(dilations), \(pads)")
    }
    before = Array(pads[..<rank])
    after = Array(pads[rank...])
    output = []
    let automatic = node.string("auto_pad") ?? "NOTSET"
    let rounding = node.integer("ceil_mode", default: 0) != 0
    for axis in 0..<rank {
      let reach = (kernel[axis] - 1) * dilations[axis] + 1
      switch automatic {
      case "SAME_UPPER", "SAME_LOWER":
        let count = (input[axis] + strides[axis] - 1) / strides[axis]
        let total = max(0, (count - 1) * strides[axis] + reach - input[axis])
        before[axis] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2
        after[axis] = total - before[axis]
        output.append(count)
        continue
      case "VALID": (before[axis], after[axis]) = (0, 0)
      case "NOTSET", "": break
      default:
        throw context.failure(.unsupported, expected: "a known auto_pad", found: "\"\(automatic)\"")
      }
      let room = input[axis] + before[axis] + after[axis] - reach
      guard room >= 0 else {
        throw context.failure(expected: "a window that fits into \(input)", found: "\(kernel)")
      }
      var count = room / strides[axis] + 1
      if rounding, room % strides[axis] != 0, count * strides[axis] < input[axis] + before[axis] { count += 1 }
      output.append(count)
    }
    // Windows that reach far are padded far, and far pads make far results.
    guard (before + after + output).allSatisfy({ $0 > -limit && $0 < limit }) else {
      throw context.failure(
        .tooLarge, expected: "pads and extents below \(limit)", found: "\(before), \(after) and \(output)")
    }
  }

  /// Elements under the window.
  var size: Int { kernel.reduce(1, *) }

  /// For each position of the window, and for each place of the result within it, where the operand's element lies in a dense channel;
  /// -1 where there is none.
  func offsets(_ context: EvaluationContext) throws -> [Int] {
    let count = try context.elementCount(output)
    try context.checkSize([wide, count] + kernel)
    let tables = try tables(context)
    let dense = rowMajorStrides(input)
    var result = Array(repeating: -1, count: size * count)
    forEachPosition(kernel) { position, steps in
      forEachPosition(output) { place, at in
        var offset = 0
        for axis in at.indices {
          let found = tables[axis][steps[axis]][at[axis]]
          if found < 0 { return }
          offset += found * dense[axis]
        }
        result[position * count + place] = offset
      }
    }
    return result
  }

  /// As `sources`, for each axis.
  ///
  /// - Throws: `tooLarge` where a table would not fit into memory.
  func tables(_ context: EvaluationContext) throws -> [[[Int]]] {
    for (window, places) in zip(kernel, output) { try context.checkSize([wide, window, places + 4]) }
    return kernel.indices.map(sources)
  }

  /// For each position of the window along an axis and each of the result: the operand's position, or -1 where there is none.
  private func sources(_ axis: Int) -> [[Int]] {
    (0..<kernel[axis]).map { step in
      (0..<output[axis]).map { place in
        let source = place * strides[axis] - before[axis] + step * dilations[axis]
        return (0..<input[axis]).contains(source) ? source : -1
      }
    }
  }
}
