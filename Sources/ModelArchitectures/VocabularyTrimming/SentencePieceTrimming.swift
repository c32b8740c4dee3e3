import PollardBase

/// Removes pieces from a SentencePiece file. Every other byte stays, but for the counts and ids of the trainer's part.
enum SentencePieceTrimming {
  /// The trainer's fields for ids, with the ids they have when they are absent.
  private static let identifierFields: [(number: UInt64, fallback: Int)] = [(40, 0), (41, 1), (42, 2), (43, -1)]
  private static let countField: UInt64 = 4

  /// The file without some pieces.
  ///
  /// - Parameter stays: for each piece whether it stays.
  /// - Throws: `malformedTokenizer` with the byte.
  static func trimmed(_ bytes: [UInt8], keeping stays: [Bool]) throws(FormatError) -> [UInt8] {
    var new: [Int: Int] = [:]
    for (position, isKept) in stays.enumerated() where isKept { new[position] = new.count }
    var reader = ProtobufReader(bytes)
    var writer = ProtobufWriter()
    var position = 0
    while true {
      let start = reader.position
      guard let field = try reader.next() else { break }
      let raw = bytes[start..<reader.position]
      guard case .bytes(let range) = field.value else {
        writer.copy(raw)
        continue
      }
      switch field.number {
      case 1:
        if !stays.indices.contains(position) || stays[position] { writer.copy(raw) }
        position += 1
      case 2: writer.bytes(2, try trainer(bytes, in: range, new, count: new.count))
      default: writer.copy(raw)
      }
    }
    return writer.output
  }

  private static func trainer(
    _ bytes: [UInt8], in range: Range<Int>, _ new: [Int: Int], count: Int
  ) throws(FormatError) -> [UInt8] {
    var reader = ProtobufReader(bytes, in: range)
    var writer = ProtobufWriter()
    var seen: Set<UInt64> = []
    while true {
      let start = reader.position
      guard let field = try reader.next() else { break }
      let isIdentifier = identifierFields.contains { $0.number == field.number }
      if field.number == countField, case .varint = field.value {
        writer.varint(countField, UInt64(count))
      } else if isIdentifier, case .varint(let value) = field.value {
        let id = Int(Int64(bitPattern: value))
        writer.signed(field.number, new[id] ?? (id < 0 ? id : -1))
      } else {
        writer.copy(bytes[start..<reader.position])
      }
      seen.insert(field.number)
    }
    for (number, fallback) in identifierFields where !seen.contains(number) {
      if let id = new[fallback], id != fallback { writer.signed(number, id) }
    }
    return writer.output
  }
}
