import PollardBase

/// The merges by which a SentencePiece BPE vocabulary is built, best first.
///
/// Every way of dividing a piece into two pieces is a merge; its rank is that of the piece: by score, or by id where the scores
/// do not tell pieces apart. Of one piece's merges, that of the shorter left part comes last, as in transformers' converter.
///
/// - Complexity: O(total length · log).
func derivedMerges(_ pieces: [(text: String, id: Int, score: Float)]) -> [(left: String, right: String)] {
  struct Merge {
    let left: [UInt8]
    let right: [UInt8]
    let score: Float
    let lengths: (Int, Int)
    let ids: (Int, Int, Int)
  }
  var identifiers: [ByteString: Int] = [:]
  identifiers.reserveCapacity(pieces.count)
  for piece in pieces { identifiers[ByteString(piece.text)] = piece.id }
  let scores = Set(pieces.map(\.score.bitPattern))
  var merges: [Merge] = []
  for piece in pieces {
    let bytes = Array(piece.text.utf8)
    var lengths = (0, piece.text.unicodeScalars.count)
    for index in bytes.indices where bytes[index] & 0xC0 != 0x80 {
      defer { lengths = (lengths.0 + 1, lengths.1 - 1) }
      guard index > 0 else { continue }
      let left = Array(bytes[..<index])
      let right = Array(bytes[index...])
      guard let leftID = identifiers[ByteString(left)], let rightID = identifiers[ByteString(right)] else { continue }
      // A single score for all pieces says nothing: ids are in the order of training.
      merges.append(
        Merge(
          left: left, right: right, score: scores.count > 1 ? piece.score : -Float(piece.id), lengths: lengths,
          ids: (piece.id, leftID, rightID)))
    }
  }
  merges.sort { a, b in
    if a.score != b.score { return a.score > b.score }
    if a.lengths.0 != b.lengths.0 { return a.lengths.0 > b.lengths.0 }
    if a.lengths.1 != b.lengths.1 { return a.lengths.1 > b.lengths.1 }
    return a.ids < b.ids
  }
  return merges.map { (String(decoding: $0.left, as: UTF8.self), String(decoding: $0.right, as: UTF8.self)) }
}
