import Pollard

extension CompactCommand {
  /// The model with the tokens that `--keep-tokens`, `--drop-unused` or the masks ask for.
  func selectingTokens(of model: Model) throws -> Model {
    var request: TokenRequest?
    if let keepTokens { request = .tokens(file: keepTokens) }
    if let dropUnused { request = .corpus(file: dropUnused) }
    if let masks, try model.hasTokenMask(masks) {
      if request != nil {
        throw UsageError(description: "the masks hold a vocab_mask, so --keep-tokens and --drop-unused do not apply")
      }
      request = .mask(file: masks)
    }
    guard let request else { return model }
    return try model.keeping(tokens: request)
  }
}
