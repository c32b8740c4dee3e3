import PollardBase
import TensorStorage

extension ONNXTensor {
  /// The elements as a lazy weight: a range of a file where the message says so, bytes in memory from typed fields.
  ///
  /// - Parameter externalFiles: the files beside the model; nil refuses external tensors.
  /// - Throws: the codes of `form()`; `tensorMalformed` for several value fields, one of another type, or strings;
  ///   `misalignedSize` for elements narrower than a byte that do not fill the last; `sizeMismatch`; for external tensors those of `ONNXExternalFiles`.
  /// - Complexity: O(1) for raw, external and packed float data; O(elements) for the other typed fields.
  public func weight(externalFiles: ONNXExternalFiles? = nil) throws(FormatError) -> Weight {
    let form = try form()
    guard let type = form.type.elementType, let byteCount = form.byteCount else {
      throw failure(.tensorMalformed, expected: "elements of fixed width", found: "\(form.type)")
    }
    guard form.shape.byteCount(of: type) == byteCount else {
      throw failure(.misalignedSize, expected: "elements that fill whole bytes", found: form.description)
    }
    return try elements(form, as: type, shape: form.shape, byteCount: byteCount, externalFiles)
  }

  /// The bytes, seen as elements of a type.
  private func elements(
    _ form: ONNXTensorForm, as type: ElementType, shape: Shape, byteCount: Int, _ externalFiles: ONNXExternalFiles?
  ) throws(FormatError) -> Weight {
    let field = try valueField(form)
    if isExternal {
      guard let externalFiles else {
        throw failure(.externalDataMissing, expected: "a model in a folder", found: "a model in memory")
      }
      let place = try externalFiles.place(of: self, byteCount: byteCount)
      return .stored(place.file, byteOffset: place.offset, type: type, shape: shape)
    }
    if let rawData, !rawData.isEmpty || form.elementCount == 0 {
      guard rawData.count == byteCount else {
        throw failure(
          .sizeMismatch, expected: "\(byteCount) bytes for \(form.description)", found: "\(rawData.count) bytes")
      }
      return try rawData.weight(type, shape)
    }
    guard let field else { return .literal(bytes: [], type: type, shape: shape) }
    if let bytes = contiguousBytes(of: field) {
      guard bytes.count == byteCount else {
        throw failure(.sizeMismatch, expected: "\(byteCount) bytes of \(field.rawValue)", found: "\(bytes.count) bytes")
      }
      return try ONNXPayload.slice(bytes).weight(type, shape)
    }
    return .literal(bytes: try typedBytes(field, form), type: type, shape: shape)
  }

  /// The elements as `raw_data` holds them, also of types that weights do not have.
  ///
  /// - Throws: as `weight(externalFiles:)`.
  public func rawBytes(externalFiles: ONNXExternalFiles? = nil) throws(FormatError) -> [UInt8] {
    let form = try form()
    guard let byteCount = form.byteCount else {
      throw failure(.tensorMalformed, expected: "elements of fixed width", found: "\(form.type)")
    }
    let bytes = try elements(form, as: .u8, shape: [byteCount], byteCount: byteCount, externalFiles)
    return try bytes.bytes()
  }

  /// Integers of 2 or 4 bits as a weight of one byte each, I8 or U8; they need not fill whole bytes.
  ///
  /// - Throws: as `weight(externalFiles:)`; `tensorMalformed` for other types.
  /// - Complexity: O(elements).
  public func unpackedWeight(externalFiles: ONNXExternalFiles? = nil) throws(FormatError) -> Weight {
    let form = try form()
    guard [.uint2, .int2, .uint4, .int4].contains(form.type), let bitCount = form.type.bitCount else {
      throw failure(.tensorMalformed, expected: "integers of 2 or 4 bits", found: "\(form.type)")
    }
    let packed = try rawBytes(externalFiles: externalFiles)
    let isSigned = form.type == .int2 || form.type == .int4
    let spare = 8 - bitCount
    let bytes = (0..<form.elementCount).map { index in
      let bit = index * bitCount
      let high = (packed[bit / 8] >> UInt8(bit % 8)) << UInt8(spare)
      return isSigned ? UInt8(bitPattern: Int8(bitPattern: high) >> Int8(spare)) : high >> UInt8(spare)
    }
    return .literal(bytes: bytes, type: isSigned ? .i8 : .u8, shape: form.shape)
  }

  /// The elements of a tensor of strings.
  ///
  /// - Throws: the codes of `form()`; `tensorMalformed` when the type is another, `sizeMismatch`.
  public func strings() throws(FormatError) -> [ByteString] {
    let form = try form()
    _ = try valueField(form)
    guard form.type == .string, !isExternal else {
      throw failure(.tensorMalformed, expected: "strings", found: isExternal ? "external data" : "\(form.type)")
    }
    guard stringData.count == form.elementCount else {
      throw failure(
        .sizeMismatch, expected: "\(form.elementCount) strings for \(form.description)", found: "\(stringData.count)")
    }
    return stringData
  }

  /// A named tensor whose elements are evaluated when it is written.
  ///
  /// - Precondition: ONNX has the weight's element type.
  public init(_ name: ByteString?, _ weight: Weight) {
    self.init()
    self.name = name
    replaceElements(with: weight)
  }

  /// Replaces type, extents and elements; name, documentation and metadata stay.
  ///
  /// - Precondition: ONNX has the weight's element type.
  public mutating func replaceElements(with weight: Weight) {
    guard let type = ONNXDataType(weight.type) else { preconditionFailure("ONNX has no \(weight.type)") }
    clearElements()
    dataType = type.rawValue
    dimensions = weight.shape.extents.map { Int64($0) }
    rawData = .weight(weight)
  }

  /// Takes the elements away from every place where they may be.
  mutating func clearElements() {
    (floatData, int32Data, int64Data) = (ONNXElements(), ONNXElements(), ONNXElements())
    (doubleData, uint64Data, stringData) = (ONNXElements(), ONNXElements(), [])
    (rawData, externalData, dataLocation, segment) = (nil, [], nil, nil)
  }

  private typealias Field = ONNXDataType.TypedField

  /// The one typed field with values, checked against the type; nil when the values are elsewhere or there are none.
  private func valueField(_ form: ONNXTensorForm) throws(FormatError) -> ONNXDataType.TypedField? {
    let fields = Field.allCases.filter { !isEmpty($0) }
    let hasRawData = rawData.map { !$0.isEmpty } ?? false
    let places = fields.map(\.rawValue) + (hasRawData ? ["raw_data"] : []) + (isExternal ? ["external data"] : [])
    guard places.count <= 1 else {
      throw failure(.tensorMalformed, expected: "values in one place", found: places.joined(separator: " and "))
    }
    if let field = fields.first, field != form.type.typedField {
      throw failure(
        .tensorMalformed, expected: "\(form.type) in \(form.type.typedField?.rawValue ?? "no field")",
        found: field.rawValue)
    }
    guard form.type != .string || (!hasRawData && !isExternal) else {
      throw failure(.tensorMalformed, expected: "strings in string_data", found: places.joined())
    }
    guard !places.isEmpty || form.elementCount == 0 else {
      throw failure(.sizeMismatch, expected: "values for \(form.description)", found: "none")
    }
    return fields.first
  }

  private func isEmpty(_ field: Field) -> Bool {
    switch field {
    case .floatData: floatData.isEmpty
    case .int32Data: int32Data.isEmpty
    case .stringData: stringData.isEmpty
    case .int64Data: int64Data.isEmpty
    case .doubleData: doubleData.isEmpty
    case .uint64Data: uint64Data.isEmpty
    }
  }

  private func contiguousBytes(of field: Field) -> ONNXSlice? {
    switch field {
    case .floatData: floatData.contiguousBytes
    case .doubleData: doubleData.contiguousBytes
    case .int32Data, .stringData, .int64Data, .uint64Data: nil
    }
  }

  /// The bytes that `raw_data` would hold.
  private func typedBytes(_ field: Field, _ form: ONNXTensorForm) throws(FormatError) -> [UInt8] {
    let bits = form.type.bitCount ?? 8
    // Numbers of less than a byte each share bytes in `int32_data` as in `raw_data`, six-bit ones apart.
    let width = max(1, bits / 8)
    switch field {
    case .floatData: return try littleEndian(floatData.values(), width: 4, form)
    case .doubleData: return try littleEndian(doubleData.values(), width: 8, form)
    case .int64Data: return try littleEndian(int64Data.values(), width: 8, form)
    case .uint64Data: return try littleEndian(uint64Data.values(), width: width, form)
    case .int32Data where bits == 6: return packedSixBits(try littleEndian(int32Data.values(), width: 1, form))
    case .int32Data: return try littleEndian(int32Data.values(), width: width, form)
    case .stringData: return []
    }
  }

  /// The low bytes of each number, as the reference reader takes them.
  private func littleEndian<Element: ONNXElement>(
    _ values: [Element], width: Int, _ form: ONNXTensorForm
  ) throws(FormatError) -> [UInt8] {
    let expected = form.type.typedCount(ofElements: form.elementCount)
    guard values.count == expected else {
      throw failure(
        .sizeMismatch, expected: "\(expected) numbers for \(form.description)", found: "\(values.count) numbers")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * width)
    for value in values {
      let bits = value.wireBits
      for index in 0..<width { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(index * 8))) }
    }
    return bytes
  }

  /// Four six-bit numbers in three bytes, the first in the lowest bits.
  private func packedSixBits(_ values: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * 3 / 4 + 1)
    var (pending, bitCount) = (UInt32(0), UInt32(0))
    for value in values {
      pending |= UInt32(value & 0x3F) << bitCount
      bitCount += 6
      while bitCount >= 8 {
        bytes.append(UInt8(truncatingIfNeeded: pending))
        pending >>= 8
        bitCount -= 8
      }
    }
    if bitCount > 0 { bytes.append(UInt8(truncatingIfNeeded: pending)) }
    return bytes
  }
}

extension ONNXPayload {
  /// Whether there are no bytes.
  public var isEmpty: Bool { count == 0 }

  /// The bytes as elements, which they fill.
  fileprivate func weight(_ type: ElementType, _ shape: Shape) throws(FormatError) -> Weight {
    switch self {
    case .slice(let slice):
      if case .file(let file) = slice.source.storage {
        return .stored(file, byteOffset: slice.range.lowerBound, type: type, shape: shape)
      }
      return .literal(bytes: try slice.bytes(), type: type, shape: shape)
    case .bytes(let bytes): return .literal(bytes: bytes, type: type, shape: shape)
    case .weight(let weight):
      return weight.type == type && weight.shape == shape
        ? weight : .literal(bytes: try weight.bytes(), type: type, shape: shape)
    }
  }
}
