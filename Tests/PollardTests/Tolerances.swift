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

  /// Outputs of models without hidden channels against torch in float64 of the models with them.
  static let rescaledAgainstTorch = Row(
    share: 4e-6, reason: "each norm is rounded to float32 once more than the original's, on top of `doubleAgainstTorch`"
  )

  /// The same where weights are bfloat16.
  static let rescaledHalf = Row(share: 4e-2, reason: "each multiplied weight is rounded to 8 bits")

  /// Outputs in double precision against torch in float64 as it is; with the same constants in both, `tools/double-interop`
  /// asks for 1e-12.
  static let doubleAgainstTorch = Row(
    share: 2e-6,
    reason:
      "torch rounds the angles of rotary positions to float32, graphs their epsilons and scales; neither rounds sums"
  )
}
