import PollardBase
import TensorStorage

/// A storage that a pickle speaks of: a record of the archive, by its key.
package struct StorageReference: Sendable, Hashable {
  /// The key; the record is `data/<key>`.
  package let key: String
  /// The type of its elements; nil for plain bytes.
  package let type: ElementType?
  /// The number of elements.
  package let count: Int
}

/// A tensor as PyTorch keeps it: a strided view of a storage, with numbers that have been checked against the storage's size.
package struct StridedTensor: Sendable, Hashable {
  package let storage: StorageReference
  package let type: ElementType
  /// The extents; element and bit count fit `Int`.
  package let shape: Shape
  /// Steps along each axis, in elements; zero or more.
  package let strides: [Int]
  /// Where the first element is, in elements.
  package let offset: Int

  /// Checks that a view lies inside its storage.
  ///
  /// - Throws: `storageMismatch`, `tensorUnsupported`.
  init(
    storage: StorageReference, type: ElementType, offset: Int, extents: [Int], strides: [Int]
  ) throws(FormatError) {
    guard let size = type.byteCount else {
      throw FormatError(.tensorUnsupported, expected: "elements of whole bytes", found: "\(type)")
    }
    let stored = storage.type?.byteCount ?? 1
    let (bytes, overflow) = storage.count.multipliedReportingOverflow(by: stored)
    guard storage.count >= 0, !overflow else {
      throw FormatError(
        .storageMismatch, expected: "a storage smaller than 2^63 bytes", found: "\(storage.count) elements")
    }
    guard storage.type == nil || storage.type == type else {
      throw FormatError(.storageMismatch, expected: "\(type) elements", found: "\(storage.type?.name ?? "")")
    }
    guard extents.count == strides.count, extents.count <= 64, let shape = Shape(checking: extents, of: type),
      strides.allSatisfy({ $0 >= 0 }), offset >= 0
    else {
      throw FormatError(
        .storageMismatch, expected: "as many steps as axes, none negative",
        found: "shape \(extents), steps \(strides), start \(offset)")
    }
    var last = offset
    var fits = offset <= bytes / size
    if shape.elementCount > 0 {
      for (extent, stride) in zip(extents, strides) {
        let (step, tooFar) = (extent - 1).multipliedReportingOverflow(by: stride)
        let (sum, beyond) = last.addingReportingOverflow(step)
        fits = fits && !tooFar && !beyond
        last = sum
      }
      fits = fits && last < bytes / size
    }
    guard fits else {
      throw FormatError(
        .storageMismatch, expected: "a view inside \(bytes / size) elements",
        found: "shape \(extents), steps \(strides), start \(offset)")
    }
    self.storage = storage
    self.type = type
    self.shape = shape
    self.strides = strides
    self.offset = offset
  }

  /// The number of bytes of the storage.
  var storageBytes: Int { storage.count * (storage.type?.byteCount ?? 1) }

  /// The first and the last byte that the view touches, counted from the start of the storage.
  var touchedBytes: Range<Int> {
    let size = type.byteCount ?? 1
    guard shape.elementCount > 0 else { return offset * size..<offset * size }
    let last = zip(shape.extents, strides).reduce(offset) { $0 + ($1.0 - 1) * $1.1 }
    return offset * size..<(last + 1) * size
  }
}

extension StridedTensor {
  /// Most elements of a view that is neither a cut nor a permutation of a dense tensor: each costs a number in memory.
  static let gatherLimit = 1 << 24

  /// The view as a lazy weight over the bytes of its storage, which begin at a place of a file.
  ///
  /// Dense tensors, their transposes and slices become the same expressions as of a tensor that is stored so; anything else, such as an expanded
  /// or overlapping view, is gathered.
  ///
  /// - Throws: `tensorUnsupported` for a large view of the latter kind.
  func weight(in file: FileSource, at start: Int) throws(FormatError) -> Weight {
    let size = type.byteCount ?? 1
    if shape.elementCount == 0 { return .zeros(type: type, shape: shape) }
    if let weight = slicedWeight(in: file, at: start, size: size) { return weight }
    guard shape.elementCount <= Self.gatherLimit else {
      throw FormatError(
        .tensorUnsupported, expected: "a slice or a permutation of a dense tensor",
        found: "shape \(shape), steps \(strides)", remedy: "save the tensor's contiguous() form")
    }
    var places = [offset]
    for (extent, stride) in zip(shape.extents, strides) {
      places = places.flatMap { place in (0..<extent).map { place + $0 * stride } }
    }
    let elements = storageBytes / size
    return Weight.stored(file, byteOffset: start, type: type, shape: [elements]).keeping(places, axis: 0).reshaped(
      shape)
  }

  /// The view as a slice of a dense tensor with permuted axes; nil when it is none.
  private func slicedWeight(in file: FileSource, at start: Int, size: Int) -> Weight? {
    // Axes of one element have a step without meaning.
    let axes = shape.extents.indices.filter { shape[$0] > 1 }.sorted { (strides[$0], $1) > (strides[$1], $0) }
    guard axes.allSatisfy({ strides[$0] > 0 }) else { return nil }
    // The dense tensor's extents are the ratios of neighbouring steps; the last axis may be a column of it.
    var extents: [Int] = []
    var firsts: [Int] = []
    var rest = offset
    for (position, axis) in axes.enumerated() {
      let stride = strides[axis]
      firsts.append(rest / stride)
      rest %= stride
      if position == 0 { continue }
      let outer = strides[axes[position - 1]]
      guard outer % stride == 0 else { return nil }
      extents.append(outer / stride)
    }
    var base = 0
    if let first = axes.first {
      base = firsts[0] * strides[first]
      extents.insert(shape[first], at: 0)
      firsts[0] = 0
    } else {
      base = offset
      rest = 0
    }
    let innermost = axes.last.map { strides[$0] } ?? 1
    if innermost > 1 {
      extents.append(innermost)
      firsts.append(rest)
    }
    let counts = axes.map { shape[$0] } + (innermost > 1 ? [1] : [])
    let elements = extents.reduce(1) { product, extent in
      let (next, overflow) = product.multipliedReportingOverflow(by: extent)
      return overflow ? Int.max : next
    }
    guard zip(zip(firsts, counts), extents).allSatisfy({ $0.0 + $0.1 <= $1 }), elements <= storageBytes / size - base
    else {
      return nil
    }
    var weight = Weight.stored(file, byteOffset: start + base * size, type: type, shape: Shape(extents))
    for axis in extents.indices where counts[axis] != extents[axis] {
      weight = weight.keeping(Array(firsts[axis]..<firsts[axis] + counts[axis]), axis: axis)
    }
    if innermost > 1 { weight = weight.reshaped(Shape(Array(counts.dropLast()))) }
    let ascending = axes.sorted()
    weight = weight.transposed(ascending.map { axis in axes.firstIndex(of: axis) ?? 0 })
    return weight.reshaped(shape)
  }
}
