import PollardBase

extension GGUFHeader {
  /// A tensor as the header declares it, before it has its place in the file.
  struct Declaration {
    let name: String
    let type: GGUFTensorType
    let extents: [Int]
    let byteCount: Int
    let offset: UInt64
    /// Where the declaration begins in the file.
    let position: Int
  }

  /// Reads so many tensors.
  static func readTensors(_ count: Int, _ reader: inout GGUFReader) throws(FormatError) -> [Declaration] {
    var declarations: [Declaration] = []
    declarations.reserveCapacity(count)
    var names: Set<ExactString> = []
    for number in 0..<count {
      let start = reader.position
      let name = try reader.name(for: "the name of tensor \(number)")
      guard name.utf8.count <= maximumTensorNameLength else {
        throw FormatError(
          .ggufTensorNameTooLong, subject: .tensor(name), at: .byte(start),
          expected: "at most \(maximumTensorNameLength) bytes", found: "\(name.utf8.count) bytes")
      }
      guard names.insert(ExactString(name)).inserted else {
        throw FormatError(.duplicateTensor, subject: .tensor(name), at: .byte(start))
      }
      do throws(FormatError) {
        declarations.append(try readTensor(name, at: start, &reader))
      } catch {
        var named = error
        if named.subject == nil { named.subject = .tensor(name) }
        throw named
      }
    }
    return declarations
  }

  private static func readTensor(
    _ name: String, at start: Int, _ reader: inout GGUFReader
  ) throws(FormatError) -> Declaration {
    let rankPosition = reader.position
    let rank = try reader.integer(UInt32.self, for: "the number of axes")
    guard rank <= UInt32(maximumRank) else {
      throw FormatError(
        .ggufTooManyAxes, at: .byte(rankPosition), expected: "at most \(maximumRank)", found: "\(rank)")
    }
    var extents: [Int] = []
    for _ in 0..<rank {
      let position = reader.position
      let extent = try reader.count(for: "an extent")
      guard extent <= UInt64(Int64.max) else {
        throw FormatError(
          .ggufExtentNegative, at: .byte(position), expected: "0 or more", found: "\(Int64(bitPattern: extent))")
      }
      extents.append(Int(extent))
    }
    let typePosition = reader.position
    let id = try reader.integer(UInt32.self, for: "the type")
    guard let type = GGUFTensorType(id: id) else {
      if let removed = GGUFTensorType.removed[id] {
        throw FormatError(
          .ggufTensorTypeRemoved, at: .byte(typePosition), found: "\(id), which was \(removed)",
          remedy: "convert the original model again with a current converter")
      }
      throw FormatError(
        .ggufTensorTypeUnknown, at: .byte(typePosition), expected: "0 to \(GGUFTensorType.all.last?.id ?? 0)",
        found: "\(Int32(bitPattern: id))")
    }
    let byteCount = try byteCount(of: type, extents: extents, at: rankPosition)
    let offset = try reader.integer(UInt64.self, for: "the offset")
    return Declaration(
      name: name, type: type, extents: extents, byteCount: byteCount, offset: offset, position: start)
  }

  /// The bytes of a tensor.
  ///
  /// - Throws: `ggufRowNotWholeBlocks`, `shapeOverflow`.
  static func byteCount(
    of type: GGUFTensorType, extents: [Int], at position: Int? = nil
  ) throws(FormatError) -> Int {
    let location = position.map { DiagnosticLocation.byte($0) }
    let row = extents.first ?? 1
    guard row % type.elementsPerBlock == 0 else {
      throw FormatError(
        .ggufRowNotWholeBlocks, at: location,
        expected: "a multiple of \(type.elementsPerBlock) elements for \(type)", found: "\(row)")
    }
    guard let byteCount = type.byteCount(extents: extents) else {
      throw FormatError(
        .shapeOverflow, at: location, expected: "less than 2^63 bits", found: "extents \(extents)")
    }
    return byteCount
  }

  /// Gives tensors their places and checks that each begins where the one before it ends.
  static func place(
    _ declarations: [Declaration], after end: Int, alignment: Int, fileSize: Int, _ byteOrder: GGUFByteOrder
  ) throws(FormatError) -> (dataStart: Int, tensors: [GGUFTensor]) {
    guard !declarations.isEmpty else { return (end, []) }
    guard let dataStart = padded(end, to: alignment), dataStart <= fileSize else {
      throw FormatError(
        .ggufDataOutsideFile, at: .byte(end), expected: "the data at a multiple of \(alignment) bytes",
        found: "a file of \(fileSize) bytes",
        remedy: "the file is cut off, as after an interrupted download; fetch it again")
    }
    var tensors: [GGUFTensor] = []
    tensors.reserveCapacity(declarations.count)
    var next = 0
    for tensor in declarations {
      func failure(_ code: DiagnosticCode<FormatDomain>, _ expected: String, _ found: String, _ remedy: String)
        -> FormatError
      {
        FormatError(
          code, subject: .tensor(tensor.name), at: .byte(tensor.position), expected: expected, found: found,
          remedy: remedy)
      }
      guard tensor.offset == UInt64(next) else {
        throw failure(
          .ggufOffsetUnexpected, "offset \(next)", "\(tensor.offset)",
          "llama.cpp refuses gaps and other orders too; write the file again with the tool that made it")
      }
      let (start, startOverflow) = dataStart.addingReportingOverflow(next)
      let (upper, overflow) = start.addingReportingOverflow(tensor.byteCount)
      guard !startOverflow, !overflow, upper <= fileSize else {
        throw failure(
          .ggufTensorOutsideFile, "\(tensor.byteCount) bytes from byte \(startOverflow ? Int.max : start) on",
          "a file of \(fileSize) bytes", "the file is cut off, as after an interrupted download; fetch it again")
      }
      if byteOrder == .big, let format = tensor.type.blockFormat, format.swappedFields == nil {
        throw failure(
          .ggufByteOrderUndefined, "a type whose byte order is defined, such as Q8_0 or Q4_K", "\(format)",
          "use the little-endian file")
      }
      tensors.append(
        GGUFTensor(name: tensor.name, type: tensor.type, extents: tensor.extents, byteRange: start..<upper))
      // What follows the last byte of the file is caught by the next tensor's check.
      next = padded(next + tensor.byteCount, to: alignment) ?? Int.max
    }
    return (dataStart, tensors)
  }
}
