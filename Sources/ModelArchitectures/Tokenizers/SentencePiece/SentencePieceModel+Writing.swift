import PollardBase

extension SentencePieceModel {
  /// The ids of the special pieces that the file names; nil for those it has not.
  struct SpecialIdentifiers: Sendable {
    var unknown = 0
    var beginning: Int?
    var end: Int?
    var padding: Int?
  }

  /// The bytes of the file: pieces, the trainer's algorithm and ids, and the normaliser.
  func encoded(_ ids: SpecialIdentifiers) -> [UInt8] {
    var writer = ProtobufWriter()
    for piece in pieces {
      var message = ProtobufWriter()
      message.bytes(1, Array(piece.text.utf8))
      message.float(2, piece.score)
      if piece.kind != .normal { message.varint(3, UInt64(piece.kind.rawValue)) }
      writer.bytes(1, message.output)
    }
    var trainer = ProtobufWriter()
    trainer.varint(3, algorithm.rawValue)
    trainer.varint(4, UInt64(pieces.count))
    trainer.varint(35, fallsBackToBytes ? 1 : 0)
    trainer.signed(40, ids.unknown)
    trainer.signed(41, ids.beginning ?? -1)
    trainer.signed(42, ids.end ?? -1)
    trainer.signed(43, ids.padding ?? -1)
    for (field, id) in [(45, ids.unknown), (46, ids.beginning), (47, ids.end), (48, ids.padding)] as [(UInt64, Int?)] {
      if let id, pieces.indices.contains(id) { trainer.bytes(field, Array(pieces[id].text.utf8)) }
    }
    writer.bytes(2, trainer.output)
    var normalizer = ProtobufWriter()
    normalizer.bytes(1, Array(normalizerName.utf8))
    if !characterMap.isEmpty { normalizer.bytes(2, characterMap) }
    normalizer.varint(3, addsDummyPrefix ? 1 : 0)
    normalizer.varint(4, removesExtraWhitespaces ? 1 : 0)
    normalizer.varint(5, 1)
    writer.bytes(3, normalizer.output)
    return writer.output
  }
}

/// Writes the fields of a protobuf message.
struct ProtobufWriter {
  private(set) var output: [UInt8] = []

  mutating func varint(_ field: UInt64, _ value: UInt64) {
    raw(field << 3)
    raw(value)
  }

  /// An `int32`; negative ones are written as 64 bits.
  mutating func signed(_ field: UInt64, _ value: Int) { varint(field, UInt64(bitPattern: Int64(value))) }

  mutating func float(_ field: UInt64, _ value: Float) {
    raw(field << 3 | 5)
    for shift in [0, 8, 16, 24] as [UInt32] { output.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift)) }
  }

  mutating func bytes(_ field: UInt64, _ value: [UInt8]) {
    raw(field << 3 | 2)
    raw(UInt64(value.count))
    output += value
  }

  /// A field as another message has it.
  mutating func copy(_ field: ArraySlice<UInt8>) { output += field }

  private mutating func raw(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    output.append(UInt8(truncatingIfNeeded: rest))
  }
}
