import PollardBase
import TensorStorage

/// The checked content of a sparse tensor message.
public struct ONNXSparseElements: Sendable {
  /// The elements that are there: `[count]`.
  public let values: Weight
  /// Where each of them is in the dense tensor, counted row-major; ascending.
  public let positions: [Int]
  /// The extents of the dense tensor.
  public let shape: Shape
}

extension ONNXSparseTensor {
  /// The elements that are there, and their positions.
  ///
  /// - Throws: as `ONNXTensor.weight(externalFiles:)`; `tensorMalformed` when values or indices are missing or of another
  ///   shape or type, or positions do not ascend inside the dense tensor.
  /// - Complexity: O(elements that are there); the dense tensor is not made.
  public func elements(externalFiles: ONNXExternalFiles? = nil) throws(FormatError) -> ONNXSparseElements {
    guard let values, let indices else {
      throw failure(expected: "values and indices", found: values == nil ? "no values" : "no indices")
    }
    var dense = ONNXTensor()
    (dense.name, dense.dataType, dense.dimensions) = (values.name, values.dataType, dimensions)
    let shape = try dense.form().shape
    let weight = try values.weight(externalFiles: externalFiles)
    guard weight.shape.rank == 1 else { throw failure(expected: "values of shape [count]", found: "\(weight.shape)") }
    let count = weight.shape[0]
    let form = try indices.form()
    let isLinear = form.shape.extents == [count]
    guard form.type == .int64, isLinear || form.shape.extents == [count, shape.rank] else {
      throw failure(
        expected: "int64 indices of shape [\(count)] or [\(count), \(shape.rank)]", found: form.description)
    }
    let bytes = try indices.rawBytes(externalFiles: externalFiles)
    let width = isLinear ? 1 : shape.rank
    let extents = isLinear ? [shape.elementCount] : shape.extents
    var positions: [Int] = []
    positions.reserveCapacity(count)
    for element in 0..<count {
      var position = 0
      for axis in 0..<width {
        let start = (element * width + axis) * 8
        let index = bytes[start..<start + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard index < UInt64(extents[axis]) else {
          throw failure(expected: "indices below \(extents[axis])", found: "\(Int64(bitPattern: index))")
        }
        // The dense tensor's element count fits, so every position in it does.
        position = position * extents[axis] + Int(index)
      }
      guard positions.last.map({ $0 < position }) ?? true else {
        throw failure(expected: "ascending positions", found: "\(position) after \(positions.last ?? 0)")
      }
      positions.append(position)
    }
    return ONNXSparseElements(values: weight, positions: positions, shape: shape)
  }

  private func failure(expected: String, found: String) -> FormatError {
    FormatError(
      .tensorMalformed, file: wire.path, subject: .tensor(values?.name?.description ?? ""), at: wire.location,
      expected: expected, found: found)
  }
}
