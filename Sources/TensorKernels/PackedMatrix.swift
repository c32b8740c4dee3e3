import CTensorKernels
import PollardBase

#if canImport(Glibc)
  import Glibc
#endif

/// The right-hand matrix `B[depth, columns]` of a product, in panels of 32 columns.
///
/// Panel `p` holds `depth` rows of 32 numbers, zeros right of the last column. The layout is the same for every
/// instruction set. The numbers are float32, or narrower ones that a kernel widens exactly as it reads them.
/// Memory: `⌈columns / 32⌉ · 32 · depth` numbers.
public final class PackedMatrix: @unchecked Sendable {
  /// How a source matrix lies in memory, its second axis contiguous.
  public enum Layout: Sendable {
    /// `[depth, columns]`: inputs first, as in ONNX `MatMul` and GPT-2's `Conv1D`.
    case inputsFirst
    /// `[columns, depth]`: outputs first, as in a Hugging Face `Linear`.
    case outputsFirst
  }

  /// Columns of one panel.
  public static let panelColumns = Int(POLLARD_PANEL)

  /// Length of the sums: rows of `B`.
  public let depth: Int
  /// Outputs: columns of `B`.
  public let columns: Int
  /// Number of panels.
  public let panelCount: Int

  /// How the numbers are held: as `float32`, `float16` or `bfloat16`.
  public let encoding: FloatEncoding

  let storage: UnsafeMutableRawPointer

  /// Memory for a matrix that `pack` fills; its content is undefined until then.
  ///
  /// - Parameter encoding: how numbers are held. Those packed into a narrow encoding must be such as it holds, else they are
  ///   rounded to it.
  /// - Precondition: the packed size fits in `Int`.
  public init(depth: Int, columns: Int, heldAs encoding: FloatEncoding = .float32) {
    precondition([.float32, .float16, .bfloat16].contains(encoding), "kernels read no other numbers")
    self.encoding = encoding
    precondition(depth >= 0 && columns >= 0, "a matrix has no negative extent")
    self.depth = depth
    self.columns = columns
    panelCount = columns / Self.panelColumns + (columns % Self.panelColumns == 0 ? 0 : 1)
    let (floats, overflow) = (panelCount * Self.panelColumns).multipliedReportingOverflow(by: depth)
    precondition(!overflow && floats <= Int.max / 8, "the matrix is too large to address")
    let bytes = max(floats * encoding.byteCount, 64)
    let hugePage = 1 << 21
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: bytes >= 2 * hugePage ? hugePage : 64)
    #if canImport(Glibc)
      if bytes >= 2 * hugePage { madvise(raw, bytes, MADV_HUGEPAGE) }
    #endif
    storage = raw
  }

  /// Packs a whole matrix.
  ///
  /// - Parameters:
  ///   - source: the matrix, `stride` elements from one row of its first axis to the next; needs no alignment.
  ///   - stride: nil for rows that follow each other.
  /// - Precondition: `source` holds all of the matrix.
  public convenience init(
    _ source: UnsafeRawBufferPointer, encoding: FloatEncoding, layout: Layout, depth: Int, columns: Int,
    stride: Int? = nil, pool: ThreadPool
  ) {
    self.init(depth: depth, columns: columns)
    pack(columns: 0..<columns, from: source, encoding: encoding, layout: layout, stride: stride, pool: pool)
  }

  deinit { storage.deallocate() }

  /// Packs some columns, so that a large matrix can arrive in pieces.
  ///
  /// - Parameters:
  ///   - range: begins at a multiple of 32, and ends at one or at the last column.
  ///   - source: only those columns: `[depth, range.count]` or `[range.count, depth]`.
  ///   - stride: elements from one row of the source to the next; nil for rows that follow each other.
  /// - Precondition: `source` holds all of the piece. Other ranges may be packed at the same time, this one not.
  public func pack(
    columns range: Range<Int>, from source: UnsafeRawBufferPointer, encoding: FloatEncoding, layout: Layout,
    stride: Int? = nil, pool: ThreadPool
  ) {
    let width = Self.panelColumns
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "the columns are outside of the matrix")
    precondition(range.lowerBound % width == 0, "a piece begins at a panel")
    precondition(range.upperBound % width == 0 || range.upperBound == columns, "a piece ends at a panel")
    guard depth > 0, !range.isEmpty else { return }
    let (outer, inner) = layout == .inputsFirst ? (depth, range.count) : (range.count, depth)
    let step = stride ?? inner
    precondition(step >= inner, "the rows of the source overlap")
    precondition(
      source.count / encoding.byteCount >= inner && (source.count / encoding.byteCount - inner) / step >= outer - 1,
      "the source is smaller than the matrix")
    nonisolated(unsafe) let base = source.baseAddress
    nonisolated(unsafe) let panels = storage + range.lowerBound * depth * self.encoding.byteCount
    let count = (range.count + width - 1) / width
    let parts = pool.threadCount == 1 ? 1 : min(count, max(1, count * width * depth / 65536), 4 * pool.threadCount)
    pool.forEach(parts) { index in
      let mine = part(index, of: parts, in: count)
      if self.encoding == .float32 {
        pollard_pack_panels(
          panels.assumingMemoryBound(to: Float.self), encoding.rawValue, base, step, layout == .outputsFirst ? 1 : 0,
          self.depth, range.count, mine.lowerBound, mine.upperBound)
      } else {
        self.packNarrow(
          panels: mine, of: range.count, at: panels, from: base, encoding: encoding, layout: layout, stride: step)
      }
    }
  }

  /// Packs panels one by one as float32 and narrows them.
  private func packNarrow(
    panels mine: Range<Int>, of columns: Int, at target: UnsafeMutableRawPointer, from base: UnsafeRawPointer?,
    encoding: FloatEncoding, layout: Layout, stride: Int
  ) {
    let width = Self.panelColumns
    let panel = UnsafeMutablePointer<Float>.allocate(capacity: depth * width)
    defer { panel.deallocate() }
    for index in mine {
      let skipped = index * width * (layout == .outputsFirst ? stride : 1) * encoding.byteCount
      pollard_pack_panels(
        panel, encoding.rawValue, base.map { $0 + skipped }, stride, layout == .outputsFirst ? 1 : 0, depth,
        min(width, columns - index * width), 0, 1)
      pollard_convert_from_f32(
        self.encoding.rawValue, panel, target + index * depth * width * self.encoding.byteCount, depth * width)
    }
  }
}
