import CTensorKernels
import PollardBase

/// Convolution of images over two axes: `[N, G · C, H, W]` by `[G · F, C, h, w]` to `[N, G · F, H', W']`.
///
/// `y[n, f, r, s] = activation(Σ_c Σ_i Σ_j x[n, c, r · stride + i · dilation - before, …] · w[f, c, i, j] + bias[f] + added[…])`
///
/// Zeros lie outside of the image.
///
/// - Axes: images and filters map to themselves; channels are summed away. Removing filters, or channels of zeros, does not
///   change the others.
/// - Each sum starts at +0 and runs over ascending channel, then window row, then window column, with fused multiply-add in
///   one accumulator; then the bias is added, then the addend, then the activation applied.
/// - Source: ONNX Conv-22.
public struct Convolution: Sendable {
  /// How a window lies along one axis.
  public struct Axis: Sendable {
    /// Extent of the image.
    public var input: Int
    /// Extent of the result.
    public var output: Int
    /// Extent of the window.
    public var window: Int
    /// Positions of the image from one result to the next.
    public var stride: Int
    /// Positions of the image from one of the window to the next.
    public var dilation: Int
    /// Zeros before the image; a negative number leaves positions out.
    public var before: Int

    /// An axis; the extent of the result follows from the padding after it, which is not stated.
    public init(input: Int, output: Int, window: Int, stride: Int, dilation: Int, before: Int) {
      self.input = input
      self.output = output
      self.window = window
      self.stride = stride
      self.dilation = dilation
      self.before = before
    }

    fileprivate var isValid: Bool {
      let limit = 1 << 31
      return [input, output].allSatisfy { $0 >= 0 && $0 < limit }
        && [window, stride, dilation].allSatisfy { $0 > 0 && $0 < limit }
        && abs(before) < limit
    }
  }

  /// The weights of a convolution.
  public enum Filters: @unchecked Sendable {
    /// `[C · h · w, F]`, packed; for one group.
    case packed(PackedMatrix)
    /// `[G · F, C · h · w]`, row-major, in someone else's memory.
    case plain(UnsafePointer<Float>)
  }

  /// Images.
  public var batch: Int
  /// Groups of channels and filters that do not meet.
  public var groups: Int
  /// Channels of one group.
  public var channels: Int
  /// Filters of one group.
  public var filters: Int
  /// The vertical axis.
  public var rows: Axis
  /// The horizontal axis.
  public var columns: Axis
  /// Applied last.
  public var activation = UnaryOperation.copy

  /// A convolution without activation.
  public init(batch: Int, groups: Int, channels: Int, filters: Int, rows: Axis, columns: Axis) {
    self.batch = batch
    self.groups = groups
    self.channels = channels
    self.filters = filters
    self.rows = rows
    self.columns = columns
  }

  /// Computes `output`, dense like all operands.
  ///
  /// - Parameters:
  ///   - bias: `[G · F]` or nil.
  ///   - added: of the extents of `output`, or nil.
  /// - Precondition: the operands are as large as the extents say; `output` overlaps none of them.
  /// - Complexity: `2 · N · G · F · C · h · w · H' · W'` operations, spread over the pool by parts of the output.
  public func callAsFunction(
    _ input: UnsafePointer<Float>, _ weights: Filters, bias: UnsafePointer<Float>?, added: UnsafePointer<Float>?,
    into output: UnsafeMutablePointer<Float>, pool: ThreadPool
  ) {
    precondition(rows.isValid && columns.isValid, "a convolution moves a window forward over an image")
    let outputs = rows.output * columns.output
    let depth = channels * rows.window * columns.window
    guard batch > 0, groups > 0, filters > 0, outputs > 0 else { return }
    nonisolated(unsafe) var call = pollard_convolution()
    (call.rows, call.columns) = (rows.input, columns.input)
    (call.output_rows, call.output_columns) = (rows.output, columns.output)
    (call.window_rows, call.window_columns) = (rows.window, columns.window)
    (call.row_stride, call.column_stride) = (rows.stride, columns.stride)
    (call.row_dilation, call.column_dilation) = (rows.dilation, columns.dilation)
    (call.rows_before, call.columns_before) = (rows.before, columns.before)
    call.depth = depth
    call.activation = activation.rawValue
    nonisolated(unsafe) let plain: UnsafePointer<Float>?
    switch weights {
    case .packed(let matrix):
      precondition(groups == 1 && matrix.depth == depth && matrix.columns == filters, "the filters have another shape")
      call.packed = UnsafeRawPointer(matrix.storage)
      call.weight_type = matrix.encoding.rawValue
      plain = nil
    case .plain(let base): plain = base
    }
    nonisolated(unsafe) let (input, bias, added, output) = (input, bias, added, output)
    nonisolated(unsafe) let shared = call
    let planes = (rows.input * columns.input * channels, outputs * filters)
    let parts = division(outputs: outputs, depth: depth, threads: pool.threadCount)
    let (panels, filterPanels) = ((outputs + Self.panel - 1) / Self.panel, (filters + Self.panel - 1) / Self.panel)
    let each = parts.outputs * parts.filters
    pool.forEach(batch * groups * each) { item in
      let (member, rest) = item.quotientAndRemainder(dividingBy: each)
      let group = member % groups
      let mine = part(rest % parts.outputs, of: parts.outputs, in: panels)
      let chosen = part(rest / parts.outputs, of: parts.filters, in: filterPanels)
      var call = shared
      call.input = input + member * planes.0
      call.output = output + member * planes.1
      if let plain { call.weights = plain + group * filters * depth }
      if let bias { call.bias = bias + group * filters }
      if let added { call.added = added + member * planes.1 }
      withUnsafePointer(to: call) {
        pollard_convolution_f32(
          $0, mine.lowerBound * Self.panel, min(mine.upperBound * Self.panel, outputs),
          chosen.lowerBound * Self.panel, min(chosen.upperBound * Self.panel, filters))
      }
    }
    withExtendedLifetime(weights) {}
  }

  private static let panel = Int(POLLARD_PANEL)

  /// Parts of the outputs and of the filters of one image and group. Parts of filters gather the same patches again, so they
  /// are few, and only where the outputs alone do not keep the threads busy.
  private func division(outputs: Int, depth: Int, threads: Int) -> (outputs: Int, filters: Int) {
    let members = batch * groups
    guard threads > 1, members < 4 * threads else { return (1, 1) }
    let panels = (outputs + Self.panel - 1) / Self.panel
    let filterPanels = (filters + Self.panel - 1) / Self.panel
    let worthwhile = max(1, panels * filterPanels * max(depth, 1) / 256)
    let outputParts = max(1, min(panels / 6, 4 * threads, worthwhile))
    if members * outputParts >= 2 * threads { return (outputParts, 1) }
    return (outputParts, max(1, min(filterPanels, threads, worthwhile / outputParts)))
  }
}
