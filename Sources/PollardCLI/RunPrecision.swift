import Pollard

/// What `--precision` says.
///
/// - Throws: `UsageError` for another name than f32 or f64.
func runPrecision(_ name: String) throws(UsageError) -> RunPrecision {
  guard let precision = RunPrecision(rawValue: name) else {
    throw UsageError(description: "--precision takes f32 or f64, not \(name)")
  }
  return precision
}
