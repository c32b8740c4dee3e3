import Pollard

/// What `--hidden-norm` says; nil where it is left out.
///
/// - Throws: `UsageError` for another word.
func parsedHiddenNorm(_ text: String?) throws -> HiddenNorm? {
  guard let text else { return nil }
  guard let norm = HiddenNorm(rawValue: text) else {
    throw UsageError(description: "--hidden-norm takes all or kept, not \(text)")
  }
  return norm
}
