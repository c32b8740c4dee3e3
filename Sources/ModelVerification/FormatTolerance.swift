import GraphExecution
import TensorStorage

/// How far numbers may lie apart when a model is compared with its conversion to another format or element type.
///
/// Within one format and type nothing is allowed: both graphs hold the same operators in the same order.
public enum FormatTolerance {
  /// One row of the table.
  public struct Row: Sendable {
    /// The narrowest type of the weights of either model.
    public var type: ElementType
    /// The blocks in which they are packed; nil where they are not.
    public var format: BlockFormat?
    /// The largest difference allowed, as a share of the largest magnitude of the reference.
    public var share: Double
    /// Why no less.
    public var reason: String

    init(type: ElementType, share: Double, reason: String) {
      self.type = type
      self.share = share
      self.reason = reason
    }

    /// - Parameter measured: the largest share found between the logits of models and of the same models with every matrix packed: Llama, Qwen2
    ///   and GPT-2 of 256 channels and 2 to 12 layers with random weights of deviation 0.02 to 0.08, packed by GGML's own quantisers.
    init(packed format: BlockFormat, share: Double, measured: Double) {
      type = .f32
      self.format = format
      self.share = share
      reason = "rounding to blocks of \(format) moved outputs of random models by up to \(measured) of the largest"
    }
  }

  /// Every row: element types, widest first, then packed ones in the order of what they lose.
  ///
  /// Formats of about three bits and less have none: what they do to a model cannot be told from an error by its outputs.
  public static let table: [Row] = [
    Row(
      type: .f64, share: 1e-5,
      reason:
        "composite operators written out round at other places; runs are in single precision unless asked otherwise"),
    Row(
      type: .f32, share: 1e-5,
      reason: "composite operators written out round at other places; each differs by a few units in the last place"),
    Row(
      type: .f16, share: 5e-3,
      reason: "11 bits of precision: weights of one model are rounded, those of the other may not be"),
    Row(
      type: .bf16, share: 4e-2,
      reason: "8 bits of precision: weights of one model are rounded, those of the other may not be"),
    Row(packed: .q8_0, share: 0.08, measured: 0.070),
    Row(packed: .q6_k, share: 0.3, measured: 0.291),
    Row(packed: .q5_k, share: 0.45, measured: 0.416),
    Row(packed: .q5_1, share: 0.5, measured: 0.454),
    Row(packed: .q5_0, share: 0.65, measured: 0.620),
    Row(packed: .q4_k, share: 0.75, measured: 0.713),
    Row(packed: .q4_0, share: 0.8, measured: 0.726),
    Row(packed: .iq4_xs, share: 0.85, measured: 0.801),
    Row(packed: .iq4_nl, share: 0.85, measured: 0.810),
    Row(packed: .q4_1, share: 0.85, measured: 0.815),
    Row(packed: .mxfp4, share: 1, measured: 0.972),
  ]

  /// How much further outputs may lie apart where both models compute the same, operator by operator, and every weight is proved to be the
  /// original's, rounded: the largest found, of a T5 with a gate in F16, BF16 and Q8_0, was 3.1 times the row's.
  private static let provedFactor = 4.0

  /// The row that takes another's place where computation and weights are proved, so that nothing but the rounding is left to move outputs.
  /// Outputs that lie as far apart as they are large have nothing to do with each other, however that came.
  public static func proved(_ row: Row) -> Row {
    var proved = row
    proved.share = min(1, provedFactor * row.share)
    proved.reason =
      "computation and weights are proved; attention without a scale, as T5's, stretches their rounding up to "
      + "\(Int(provedFactor)) times"
    return proved
  }

  /// What stands in for the rows of F64 and F32 when graphs compute in double precision.
  public static let double = Row(
    type: .f64, share: 1e-6,
    reason: "sums round to 1e-15, but constants of operators written out, as √2 or an epsilon, are single precision")

  /// What stands in for the table where constants are folded into biases and both models compute in double precision: each bias is rounded once
  /// to the type it is stored in, by half a unit in its last place, and what follows may stretch that. Widest first.
  public static let folds: [Row] = [
    Row(type: .f64, share: 1e-12, reason: "biases round to 53 bits; sums of doubles are taken in another order"),
    Row(
      type: .f32, share: 1e-6,
      reason: "a folded bias is rounded once to 24 bits, 6e-8 of it; norms and residuals stretch that"),
    Row(
      type: .f16, share: 5e-3,
      reason: "a folded bias is rounded once to 11 bits, 5e-4 of it; norms and residuals stretch that"),
    Row(
      type: .bf16, share: 4e-2,
      reason: "a folded bias is rounded once to 8 bits, 4e-3 of it; norms and residuals stretch that"),
  ]

  /// The row for biases that are stored in a type; the loosest for one that has none.
  public static func folded(_ type: ElementType) -> Row { folds.first { $0.type == type } ?? folds[folds.count - 1] }

  /// What is allowed between a model and the same without dead residual channels, both computed in double precision. Every multiplied weight is
  /// proved to be the product rounded once; nothing but that rounding is left to move the outputs.
  public static let rescaled: [Row] = [
    Row(
      type: .f64, share: 2e-6,
      reason: "graphs hold weights, ε and the numbers that follow from the width in single precision"),
    Row(
      type: .f32, share: 2e-6,
      reason: "each multiplied weight is rounded to 24 bits; models of two layers moved by up to 1.1e-6"),
    Row(type: .f16, share: 5e-3, reason: "each multiplied weight is rounded to 11 bits"),
    Row(type: .bf16, share: 4e-2, reason: "each multiplied weight is rounded to 8 bits"),
  ]

  /// The row of `rescaled` for models whose weights have some types; the loosest that applies.
  public static func rescaledRow(for types: Set<ElementType>) -> Row {
    let rows = types.compactMap { type in rescaled.first { $0.type == type } }
    return rows.max { $0.share < $1.share } ?? rescaled[1]
  }

  /// The row for models whose weights have some types; the loosest that applies, nil for types without one.
  ///
  /// - Parameters:
  ///   - types: the types in which weights are stored, without those that are packed in blocks.
  ///   - formats: the blocks in which others are packed.
  ///   - precision: what graphs compute in; of weights that are narrower than single precision it changes nothing.
  public static func row(
    for types: Set<ElementType>, formats: Set<BlockFormat> = [], precision: ComputingPrecision = .declared
  ) -> Row? {
    let floating = types.filter { $0.isFloatingPoint }
    var rows = floating.map { type in
      precision == .double && (type == .f32 || type == .f64)
        ? double : table.first { $0.format == nil && $0.type == type }
    }
    rows += formats.map { format in table.first { $0.format == format } }
    if rows.isEmpty { return precision == .double ? double : table.first { $0.type == .f32 } }
    if rows.contains(where: { $0 == nil }) { return nil }
    return rows.compactMap { $0 }.max { $0.share < $1.share }
  }
}
