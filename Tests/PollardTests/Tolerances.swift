/// How far numbers may lie apart and still count as equal. Everything that is not here is compared for identity.
enum Tolerances {
  struct Row {
    /// The largest difference allowed, as a share of the largest magnitude of the reference.
    var share: Double
    var reason: String
  }

  /// Outputs and hidden states against torch in float64.
  static let torchDouble = Row(
    share: 2e-4,
    reason:
      "the reference is rounded nowhere; models of up to 4 layers compute in float32, each sum with one rounding per term"
  )

  /// Outputs in double precision against torch in float64 as it is; with the same constants in both, `tools/double-interop`
  /// asks for 1e-12.
  static let doubleAgainstTorch = Row(
    share: 2e-6,
    reason:
      "torch rounds the angles of rotary positions to float32, graphs their epsilons and scales; neither rounds sums"
  )
}
