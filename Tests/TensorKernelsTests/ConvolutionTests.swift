import PollardBase
import TensorKernels
import Testing

/// One convolution: groups, channels and filters of a group, and two axes.
struct ConvolutionCase: Sendable, CustomTestStringConvertible {
  var batch = 1
  var groups = 1
  var channels: Int
  var filters: Int
  var rows: Convolution.Axis
  var columns: Convolution.Axis

  var testDescription: String {
    "\(batch) × \(groups) × \(channels) × \(rows.input) × \(columns.input), \(filters) filters \(rows.window) × \(columns.window), "
      + "stride \(columns.stride), dilation \(columns.dilation), before \(columns.before)"
  }

  /// The same on both axes but for the extents of the image.
  init(
    batch: Int = 1, groups: Int = 1, _ channels: Int, _ height: Int, _ width: Int, filters: Int, window: Int,
    stride: Int = 1, dilation: Int = 1, before: Int = 0, after: Int? = nil
  ) {
    func axis(_ input: Int) -> Convolution.Axis {
      let room = input + before + (after ?? before) - (window - 1) * dilation - 1
      return Convolution.Axis(
        input: input, output: room / stride + 1, window: window, stride: stride, dilation: dilation, before: before)
    }
    (self.batch, self.groups, self.channels, self.filters) = (batch, groups, channels, filters)
    (rows, columns) = (axis(height), axis(width))
  }

  var depth: Int { channels * rows.window * columns.window }
  var outputCount: Int { batch * groups * filters * rows.output * columns.output }
  var kernel: Convolution {
    Convolution(batch: batch, groups: groups, channels: channels, filters: filters, rows: rows, columns: columns)
  }

  /// As the contract says it: from +0, ascending channel, row, column; then the bias, the addend, the larger of it and zero.
  func ordered(_ x: [Float], _ w: [Float], bias: [Float]?, added: [Float]?) -> [Float] {
    var result: [Float] = []
    for image in 0..<batch {
      for filter in 0..<(groups * filters) {
        let first = filter / filters * channels
        for y in 0..<rows.output {
          for z in 0..<columns.output {
            var sum: Float = 0
            for channel in 0..<channels {
              for i in 0..<rows.window {
                for j in 0..<columns.window {
                  let row = y * rows.stride + i * rows.dilation - rows.before
                  let column = z * columns.stride + j * columns.dilation - columns.before
                  let isInside = (0..<rows.input).contains(row) && (0..<columns.input).contains(column)
                  let plane = (image * groups * channels + first + channel) * rows.input
                  let value = isInside ? x[(plane + row) * columns.input + column] : 0
                  sum.addProduct(w[((filter * channels + channel) * rows.window + i) * columns.window + j], value)
                }
              }
            }
            if let bias { sum += bias[filter] }
            if let added { sum = max(sum + added[result.count], 0) }
            result.append(sum)
          }
        }
      }
    }
    return result
  }

  /// What the kernel gives, between guard values that must not change.
  func computed(
    _ x: [Float], _ w: [Float], bias: [Float]?, added: [Float]?, isPacked: Bool, _ pool: ThreadPool
  ) -> [Float] {
    var convolution = kernel
    if added != nil { convolution.activation = .relu }
    let guards = 32
    var y = [Float](repeating: 77, count: outputCount + 2 * guards)
    let packed =
      isPacked
      ? w.withUnsafeBytes {
        PackedMatrix($0, encoding: .float32, layout: .outputsFirst, depth: depth, columns: filters, pool: pool)
      } : nil
    x.withUnsafeBufferPointer { x in
      w.withUnsafeBufferPointer { w in
        (bias ?? []).withUnsafeBufferPointer { biases in
          (added ?? []).withUnsafeBufferPointer { addends in
            y.withUnsafeMutableBufferPointer { y in
              guard let x = x.baseAddress, let w = w.baseAddress, let y = y.baseAddress else { return }
              convolution(
                x, packed.map(Convolution.Filters.packed) ?? .plain(w), bias: bias == nil ? nil : biases.baseAddress,
                added: added == nil ? nil : addends.baseAddress, into: y + guards, pool: pool)
            }
          }
        }
      }
    }
    #expect((y.prefix(guards) + y.suffix(guards)).allSatisfy { $0 == 77 })
    return Array(y.dropFirst(guards).dropLast(guards))
  }
}

#if DEBUG
  private let cases = [
    ConvolutionCase(3, 7, 9, filters: 5, window: 3, before: 1),
    ConvolutionCase(batch: 2, groups: 3, 1, 6, 5, filters: 1, window: 3),
  ]
#else
  private let cases = [
    ConvolutionCase(1, 1, 1, filters: 1, window: 1),
    ConvolutionCase(3, 7, 9, filters: 5, window: 3, before: 1),
    ConvolutionCase(batch: 2, 5, 19, 23, filters: 33, window: 1),
    ConvolutionCase(70, 7, 7, filters: 40, window: 3, before: 1),
    ConvolutionCase(40, 14, 14, filters: 70, window: 3, before: 1),
    ConvolutionCase(300, 14, 14, filters: 96, window: 1),
    ConvolutionCase(3, 40, 37, filters: 17, window: 7, stride: 2, before: 3),
    ConvolutionCase(20, 15, 15, filters: 32, window: 1, stride: 2),
    ConvolutionCase(4, 23, 50, filters: 12, window: 3, stride: 2, before: 1, after: 0),
    ConvolutionCase(5, 17, 13, filters: 9, window: 3, stride: 3, before: 2),
    ConvolutionCase(6, 12, 12, filters: 34, window: 3, dilation: 2, before: 2),
    ConvolutionCase(4, 9, 9, filters: 8, window: 3, before: -1),
    ConvolutionCase(2, 3, 4, filters: 6, window: 3, before: 5),
    ConvolutionCase(batch: 2, groups: 3, 1, 16, 15, filters: 1, window: 3, before: 1),
    ConvolutionCase(batch: 3, groups: 8, 1, 9, 33, filters: 2, window: 5, stride: 2, before: 2),
    ConvolutionCase(groups: 4, 6, 10, 11, filters: 13, window: 3, before: 1),
    ConvolutionCase(9, 64, 70, filters: 20, window: 3, before: 1),
  ]
#endif

extension KernelTests {
  @Suite("Convolution")
  struct ConvolutionTests {
    @Test(
      "equals the fused sum over ascending channel and window position to the bit, however filters lie, work is divided and vectors run",
      arguments: cases)
    func orderOfSummation(sample: ConvolutionCase) {
      let seed = UInt64(sample.outputCount * 1009 + sample.depth)
      var numbers = SeededNumbers(seed: seed)
      let x = numbers.numbers(sample.batch * sample.groups * sample.channels * sample.rows.input * sample.columns.input)
      let w = numbers.numbers(sample.groups * sample.filters * sample.depth)
      for hasEpilogue in [false, true] {
        let bias = hasEpilogue ? numbers.numbers(sample.groups * sample.filters) : nil
        let added = hasEpilogue ? numbers.numbers(sample.outputCount) : nil
        let expected = sample.ordered(x, w, bias: bias, added: added)
        for (pool, isPacked) in [(oneThread, true), (twoThreads, true), (twoThreads, false)]
        where !isPacked || sample.groups == 1 {
          for (set, found) in onEveryInstructionSet({
            sample.computed(x, w, bias: bias, added: added, isPacked: isPacked, pool)
          }) {
            #expect(
              firstDifference(canonicalBits(found), canonicalBits(expected)) == nil,
              "\(set), \(pool.threadCount) threads, packed \(isPacked), seed \(seed)")
          }
        }
      }
    }

    @Test("does not change a bit when channels of zeros are left out", arguments: InstructionSet.available)
    func deadChannels(set: InstructionSet) {
      defer { InstructionSet.available.last?.select() }
      set.select()
      var numbers = SeededNumbers(seed: 224)
      let kept = [0, 2, 3, 6]
      let whole = ConvolutionCase(7, 9, 9, filters: 35, window: 3, before: 1)
      let part = ConvolutionCase(kept.count, 9, 9, filters: 35, window: 3, before: 1)
      let x = numbers.numbers(7 * 81)
      var w = numbers.numbers(35 * 7 * 9)
      for filter in 0..<35 {
        for channel in 0..<7 where !kept.contains(channel) {
          for place in 0..<9 { w[(filter * 7 + channel) * 9 + place] = 0 }
        }
      }
      var smallX: [Float] = []
      var smallW: [Float] = []
      for channel in kept { smallX += x[(channel * 81)..<(channel * 81 + 81)] }
      for filter in 0..<35 {
        for channel in kept {
          let start = (filter * 7 + channel) * 9
          smallW += w[start..<(start + 9)]
        }
      }
      let found = whole.computed(x, w, bias: nil, added: nil, isPacked: true, twoThreads)
      let compacted = part.computed(smallX, smallW, bias: nil, added: nil, isPacked: true, oneThread)
      #expect(found == compacted)
    }
  }
}
