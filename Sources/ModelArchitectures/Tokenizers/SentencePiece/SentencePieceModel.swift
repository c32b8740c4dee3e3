import PollardBase

/// A SentencePiece model file: one protobuf message, `sentencepiece.ModelProto`.
///
/// ```
/// ModelProto      1 pieces (repeated) · 2 trainer_spec · 3 normalizer_spec
/// SentencePiece   1 piece: string · 2 score: float · 3 type: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
/// TrainerSpec     3 model_type: 1 unigram, 2 BPE, 3 word, 4 character · 35 byte_fallback
/// NormalizerSpec  1 name · 2 precompiled_charsmap: bytes · 3 add_dummy_prefix · 4 remove_extra_whitespaces
/// ```
///
/// Source: `sentencepiece_model.proto` of the SentencePiece project.
struct SentencePieceModel: Sendable {
  /// One entry of the vocabulary.
  struct Piece: Sendable {
    var text: String
    var score: Float
    var kind: TokenKind
  }

  /// How a text is divided into pieces.
  enum Algorithm: UInt64, Sendable {
    case unigram = 1
    case bytePair = 2
    case word = 3
    case character = 4
  }

  var pieces: [Piece] = []
  var algorithm = Algorithm.unigram
  var fallsBackToBytes = false
  var normalizerName = ""
  var characterMap: [UInt8] = []
  var addsDummyPrefix = true
  var removesExtraWhitespaces = true

  init() {}

  /// Reads a file.
  ///
  /// - Throws: `malformedTokenizer` with file and byte, also for a vocabulary that is empty or has no unknown piece.
  init(parsing bytes: [UInt8], file: String) throws(FormatError) {
    do throws(FormatError) {
      try parse(bytes)
      guard !pieces.isEmpty else {
        throw FormatError(.malformedTokenizer, expected: "at least one piece", found: "none")
      }
      guard pieces.contains(where: { $0.kind == .unknown }) else {
        throw FormatError(.malformedTokenizer, expected: "a piece of the type UNKNOWN", found: "none")
      }
    } catch {
      throw error.inFile(file)
    }
  }

  private mutating func parse(_ bytes: [UInt8]) throws(FormatError) {
    var reader = ProtobufReader(bytes)
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      switch field.number {
      case 1: pieces.append(try Self.piece(reader, in: range))
      case 2: try readTrainer(reader, in: range)
      case 3: try readNormalizer(reader, in: range)
      default: continue
      }
    }
  }

  private static func piece(_ parent: ProtobufReader, in range: Range<Int>) throws(FormatError) -> Piece {
    var reader = ProtobufReader(parent.bytes, in: range)
    var piece = Piece(text: "", score: 0, kind: .normal)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let range)): piece.text = try reader.text(range)
      case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .varint(let number)):
        guard let kind = Int32(exactly: number).flatMap(TokenKind.init(rawValue:)) else {
          throw reader.malformed(range.lowerBound, "a piece type from 1 to 6", found: "\(number)")
        }
        piece.kind = kind
      default: continue
      }
    }
    guard !piece.text.isEmpty else { throw reader.malformed(range.lowerBound, "a piece with text", found: "none") }
    return piece
  }

  private mutating func readTrainer(_ parent: ProtobufReader, in range: Range<Int>) throws(FormatError) {
    var reader = ProtobufReader(parent.bytes, in: range)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (3, .varint(let number)):
        guard let found = Algorithm(rawValue: number) else {
          throw reader.malformed(range.lowerBound, "a model type from 1 to 4", found: "\(number)")
        }
        algorithm = found
      case (35, .varint(let number)): fallsBackToBytes = number != 0
      default: continue
      }
    }
  }

  private mutating func readNormalizer(_ parent: ProtobufReader, in range: Range<Int>) throws(FormatError) {
    var reader = ProtobufReader(parent.bytes, in: range)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let range)): normalizerName = try reader.text(range)
      case (2, .bytes(let range)): characterMap = Array(reader.bytes[range])
      case (3, .varint(let number)): addsDummyPrefix = number != 0
      case (4, .varint(let number)): removesExtraWhitespaces = number != 0
      default: continue
      }
    }
  }
}
