import ModelArchitectures
import PollardBase
import Testing

@Suite("Tokenizers to GGUF metadata")
struct TokenizerMetadataTests {
  @Test("There are fixtures of every kind")
  func fixtures() { #expect(TokenizerCase.all.count >= 22) }

  @Test("Keys, types, values and their order are the reference converter's", arguments: TokenizerCase.all)
  func equalsReference(_ sample: TokenizerCase) throws {
    let expected = try metadata(fromJSON: sample.expected()["metadata"])
    let found = try sample.metadata()
    #expect(found.entries.map(\.key) == expected.entries.map(\.key))
    for (a, b) in zip(found.entries, expected.entries) {
      guard a != b else { continue }
      #expect(describe(a.value) == describe(b.value), "\(a.key)")
    }
  }

  /// Short text for a failure: the whole of small values, the first difference cannot be told apart otherwise.
  private func describe(_ value: TokenizerMetadata.Value) -> String {
    switch value {
    case .strings(let texts): texts.enumerated().map { "\($0) \($1.debugDescription)" }.joined(separator: "\n")
    default: "\(value)"
    }
  }

  @Test("The digest of the stress text is transformers'", arguments: TokenizerCase.all)
  func digest(_ sample: TokenizerCase) throws {
    guard let expected = try sample.expected()["digest"]?.stringValue else { return }
    let digest = try #require(
      try TextEncoder.stressDigest(files: sample.files(), configuration: sample.configuration()))
    #expect(digest == expected)
  }

  @Test("Byte-level BPE and WordPiece encode as transformers does", arguments: TokenizerCase.all)
  func encodes(_ sample: TokenizerCase) throws {
    let expected = try sample.expected()
    guard expected["digest"] != nil else { return }
    let encoder = try #require(try TextEncoder(files: sample.files(), configuration: sample.configuration()))
    for pair in expected["texts"]?.arrayValue ?? [] {
      let text = try #require(pair[0]?.stringValue)
      // The encoder takes canonical decomposition as the identity.
      if sample.stripsAccents, text.unicodeScalars.contains(where: { (0xC0...0x24F).contains($0.value) }) { continue }
      let ids = encoder.identifiers(of: text, addingSpecialTokens: false)
      #expect(ids == pair[1]?.arrayValue?.compactMap(\.intValue), "\(text.debugDescription)")
    }
  }
}
