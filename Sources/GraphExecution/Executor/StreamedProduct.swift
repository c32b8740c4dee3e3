import ModelGraph
import PollardBase
import Synchronization
import TensorKernels
import TensorStorage

/// The product with a constant matrix `[depth, columns]`: kept in packed form, or read for this product alone.
func product(
  _ a: Tensor, _ weight: Weight, _ bias: Tensor?, _ activation: UnaryOperation, _ context: EvaluationContext
) throws -> Tensor {
  if context.matrices.resident {
    return try product(a, context.matrices.matrix(of: weight, pool: context.pool), bias, activation, context)
  }
  let columns = weight.shape[1]
  let result = try context.memory.tensor(.f32, a.extents.dropLast() + [columns])
  if result.extents.contains(0) { return result }
  var source = a
  if source.rows(columnsFrom: a.rank - 1) == nil { source = a.contiguous(context.memory) }
  let rows = result.elementCount / columns
  let left = MatrixView(
    base: source.pointer(Float.self), rows: rows, columns: weight.shape[0],
    rowStride: source.rows(columnsFrom: a.rank - 1)?.stride ?? weight.shape[0])
  let target = StreamedTarget(
    base: result.written(Float.self), rows: rows, columns: columns, bias: bias?.pointer(Float.self),
    activation: activation)
  if weight.outerPermutation == nil {
    try multiplyBands(left, weight, target, context)
  } else {
    try multiplyStrips(left, weight, target, context.pool)
  }
  withExtendedLifetime((source.buffer, bias?.buffer)) {}
  return result
}

/// Where a product goes, column by column.
private struct StreamedTarget: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  let rows: Int
  let columns: Int
  let bias: UnsafePointer<Float>?
  let activation: UnaryOperation

  /// Computes some columns from the matrix that makes them.
  func fill(_ range: Range<Int>, _ a: MatrixView, _ b: PackedMatrix, _ pool: ThreadPool) {
    Kernels.matrixProduct(
      a, b, bias: bias.map { $0 + range.lowerBound }, activation: activation,
      into: MutableMatrixView(base: base + range.lowerBound, rows: rows, columns: range.count, rowStride: columns),
      pool: pool)
  }
}

/// A matrix stored inputs first: the columns of a band lie apart in the file, so a band is wide and all threads work on it.
private func multiplyBands(
  _ a: MatrixView, _ weight: Weight, _ target: StreamedTarget, _ context: EvaluationContext
) throws {
  let (depth, columns) = (weight.shape[0], weight.shape[1])
  let limit = 32 << 20
  let unit = PackedMatrix.panelColumns
  let width = max(4096, limit / 4 / max(depth, 1) / unit * unit)
  for start in stride(from: 0, to: columns, by: width) {
    let range = start..<min(columns, start + width)
    let band = range.count == columns ? weight : weight.keeping(Array(range), axis: 1)
    target.fill(range, a, try context.matrices.matrix(of: band, pool: context.pool), context.pool)
  }
}

/// A matrix stored outputs first: a thread reads the rows of the file that make a strip of columns, packs them and multiplies, so that the
/// strip never leaves its cache.
private func multiplyStrips(
  _ a: MatrixView, _ weight: Weight, _ target: StreamedTarget, _ pool: ThreadPool
) throws {
  let strips = WeightStrips(weight, rows: a.rows, threads: pool.threadCount)
  let single = ThreadPool(threadCount: 1)
  let failure = FirstFailure()
  pool.forEach(strips.count) { index in
    failure.catching {
      try strips.withStrip(index) { target.fill($0, a, $1, single) }
    }
  }
  try failure.check()
}

/// The columns of a matrix that is stored outputs first, a few at a time.
private final class WeightStrips: Sendable {
  /// What one thread needs: the stored elements of a strip, and the same packed.
  private final class Workspace: @unchecked Sendable {
    let matrix: PackedMatrix
    let bytes: UnsafeMutableRawBufferPointer
    var scratch = EvaluationScratch()

    init(depth: Int, columns: Int, elementSize: Int) {
      matrix = PackedMatrix(depth: depth, columns: columns)
      bytes = .allocate(byteCount: max(1, depth * columns * elementSize), alignment: 64)
    }

    deinit { bytes.deallocate() }
  }

  /// `[columns, depth]`, in a type that the kernels unpack.
  private let source: Weight
  private let encoding: FloatEncoding
  private let width: Int
  private let columns: Int
  private let depth: Int
  private let single = ThreadPool(threadCount: 1)
  private let idle = Mutex<[Workspace]>([])

  /// A packed strip that is used for few rows stays in a cache of the second level; for many, reading them again costs more.
  private static func stripBytes(rows: Int) -> Int { rows <= 256 ? 512 << 10 : 4 << 20 }

  init(_ weight: Weight, rows: Int, threads: Int) {
    let stored = weight.withoutOuterPermutation
    switch stored.type {
    case .bf16: (source, encoding) = (stored, .bfloat16)
    case .f16: (source, encoding) = (stored, .float16)
    default: (source, encoding) = (stored.cast(to: .f32), .float32)
    }
    columns = stored.shape[0]
    depth = stored.shape[1]
    let unit = PackedMatrix.panelColumns
    let fitting = Self.stripBytes(rows: rows) / 4 / max(depth, 1) / unit * unit
    let shared = (columns / (2 * threads) + unit - 1) / unit * unit
    width = max(unit, min(fitting, shared))
  }

  var count: Int { (columns + width - 1) / width }

  /// Reads a strip and calls a function with its columns.
  func withStrip(_ index: Int, _ body: (Range<Int>, PackedMatrix) -> Void) throws {
    let range = index * width..<min(columns, (index + 1) * width)
    let isFull = range.count == width
    let known = isFull ? idle.withLock { $0.popLast() } : nil
    let space = known ?? Workspace(depth: depth, columns: range.count, elementSize: encoding.byteCount)
    defer { if isFull { idle.withLock { $0.append(space) } } }
    if depth > 0 {
      try source.read(
        elements: range.lowerBound * depth..<range.upperBound * depth, into: space.bytes, scratch: &space.scratch)
    }
    space.matrix.pack(
      columns: 0..<range.count, from: UnsafeRawBufferPointer(space.bytes), encoding: encoding, layout: .outputsFirst,
      pool: single)
    body(range, space.matrix)
  }
}
