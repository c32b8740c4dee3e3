import PollardBase
import TensorStorage

/// The checked type and extents of a tensor message.
public struct ONNXTensorForm: Sendable, Hashable {
  /// The element type.
  public let type: ONNXDataType
  /// The extents.
  public let shape: Shape
  /// The number of elements.
  public let elementCount: Int
  /// The bytes of all elements as `raw_data` or an external file holds them; nil for strings.
  public let byteCount: Int?

  /// For example `float[768, 3072]`.
  var description: String { "\(type)\(shape)" }
}

extension ONNXTensor {
  /// Whether the elements are in another file.
  public var isExternal: Bool { dataLocation == 1 }

  /// Type and extents.
  ///
  /// - Throws: `unknownElementType`; `tensorMalformed` for a negative extent or a segment; `shapeOverflow`.
  public func form() throws(FormatError) -> ONNXTensorForm {
    guard let type = ONNXDataType(rawValue: dataType ?? 0), type != .undefined else {
      throw failure(.unknownElementType, expected: "a data_type from 1 to 28", found: "\(dataType ?? 0)")
    }
    guard segment == nil else { throw failure(.tensorMalformed, expected: "a whole tensor", found: "a segment") }
    var extents: [Int] = []
    extents.reserveCapacity(dimensions.count)
    // Strides are products of the other extents, so those must fit too when one extent is zero.
    var (count, spread) = (1, type.bitCount ?? 128)
    for dimension in dimensions {
      guard dimension >= 0, let extent = Int(exactly: dimension) else {
        throw failure(.tensorMalformed, expected: "extents of 0 or more", found: "\(dimension)")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      let (span, spanOverflow) = spread.multipliedReportingOverflow(by: max(extent, 1))
      guard !overflow, !spanOverflow else { throw tooLarge() }
      (count, spread) = (product, span)
      extents.append(extent)
    }
    let bits = count == 0 ? 0 : spread
    let byteCount = type.bitCount == nil ? nil : bits / 8 + (bits % 8 == 0 ? 0 : 1)
    return ONNXTensorForm(type: type, shape: Shape(extents), elementCount: count, byteCount: byteCount)
  }

  private func tooLarge() -> FormatError {
    let listed = dimensions.prefix(16).map(String.init).joined(separator: ", ")
    return failure(.shapeOverflow, expected: "a product below 2^63 bits", found: "[\(listed)]")
  }

  /// An error about this tensor.
  func failure(
    _ code: DiagnosticCode<FormatDomain>, expected: String? = nil, found: String? = nil, remedy: String? = nil
  ) -> FormatError {
    FormatError(
      code, file: wire.source?.source.path, subject: .tensor(name?.description ?? ""),
      at: wire.source.map { .byte($0.range.lowerBound) }, expected: expected, found: found, remedy: remedy)
  }
}
