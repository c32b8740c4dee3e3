import PollardBase
import Synchronization
import TensorKernels
import TensorStorage

/// Where weights are while a graph runs.
public enum WeightResidency: Sendable, Hashable {
  /// All matrices are packed once and kept. Packed matrices take 2 bytes per element of F16 or BF16, else 4.
  case resident
  /// Each matrix is packed when its node is reached and released after it: memory for one matrix, slower.
  case streamed
  /// `resident` if the packed matrices take fewer bytes than this, else `streamed`.
  case residentUpTo(bytes: Int)

  /// Resident below 4 GiB and half of the memory that the process may have.
  public static let automatic = WeightResidency.residentUpTo(bytes: min(4 << 30, Memory.limit / 2))
}

/// The right-hand matrices of products, packed from lazy weights; equal weights are packed once.
final class PackedMatrices: Sendable {
  /// Whether packed matrices are kept.
  let resident: Bool
  private let packed = Mutex<[StructuralIdentity: PackedMatrix]>([:])

  init(resident: Bool) { self.resident = resident }

  /// The packed form of a matrix `[depth, columns]`.
  ///
  /// - Throws: `FormatError` when the file cannot be read.
  func matrix(of weight: Weight, pool: ThreadPool) throws -> PackedMatrix {
    guard resident else { return try Self.pack(weight, pool: pool) }
    let key = weight.structuralIdentity
    if let found = packed.withLock({ $0[key] }) { return found }
    let matrix = try Self.pack(weight, pool: pool)
    packed.withLock { $0[key] = matrix }
    return matrix
  }

  /// The bytes that a matrix takes when it is packed.
  static func byteCount(of weight: Weight) -> Int {
    let width = PackedMatrix.panelColumns
    return (weight.shape[1] + width - 1) / width * width * weight.shape[0] * encoding(of: weight).byteCount
  }

  /// How the numbers of a matrix are held: as they are stored where the kernels read that, else widened.
  private static func encoding(of weight: Weight) -> FloatEncoding {
    switch weight.type {
    case .f16: .float16
    case .bf16: .bfloat16
    default: .float32
    }
  }

  /// Elements that one thread reads before it packs them.
  private static let chunk = 1 << 17

  /// Reads the weight in the order in which it is stored, a bounded chunk per thread at a time.
  private static func pack(_ weight: Weight, pool: ThreadPool) throws -> PackedMatrix {
    let matrix = PackedMatrix(
      depth: weight.shape[0], columns: weight.shape[1], heldAs: encoding(of: weight))
    let isTransposed = weight.outerPermutation != nil
    let source = weight.withoutOuterPermutation.cast(to: .f32)
    let rows = source.shape[0]
    let width = source.shape[1]
    let unit = PackedMatrix.panelColumns
    let step = isTransposed ? max(1, chunk / max(width, 1) / unit) * unit : max(1, chunk / max(width, 1))
    let single = ThreadPool(threadCount: 1)
    let failure = FirstFailure()
    pool.forEach((rows + step - 1) / step) { part in
      let range = part * step..<min(rows, (part + 1) * step)
      failure.catching {
        let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: range.count * width)
        defer { floats.deallocate() }
        var scratch = EvaluationScratch()
        try source.readFloats(
          elements: range.lowerBound * width..<range.upperBound * width, into: floats, scratch: &scratch)
        let bytes = UnsafeRawBufferPointer(floats)
        if isTransposed {
          matrix.pack(columns: range, from: bytes, encoding: .float32, layout: .outputsFirst, pool: single)
        } else {
          matrix.pack(rows: range, from: bytes, encoding: .float32)
        }
      }
    }
    try failure.check()
    return matrix
  }
}
