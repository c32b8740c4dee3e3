import TensorStorage

/// How far numbers may lie apart when a model is compared with its conversion to another format or element type.
///
/// Within one format and type nothing is allowed: both graphs hold the same operators in the same order.
public enum FormatTolerance {
  /// One row of the table.
  public struct Row: Sendable {
    /// The narrowest type of the weights of either model.
    public var type: ElementType
    /// The largest difference allowed, as a share of the largest magnitude of the reference.
    public var share: Double
    /// Why no less.
    public var reason: String
  }

  /// Every row, widest type first.
  public static let table: [Row] = [
    Row(
      type: .f64, share: 1e-5,
      reason: "composite operators written out round at other places; graphs compute in single precision"),
    Row(
      type: .f32, share: 1e-5,
      reason: "composite operators written out round at other places; each differs by a few units in the last place"),
    Row(
      type: .f16, share: 5e-3,
      reason: "11 bits of precision: weights of one model are rounded, those of the other may not be"),
    Row(
      type: .bf16, share: 4e-2,
      reason: "8 bits of precision: weights of one model are rounded, those of the other may not be"),
  ]

  /// The row for models whose weights have some types; the loosest that applies, nil for types without one.
  public static func row(for types: Set<ElementType>) -> Row? {
    let floating = types.filter { $0.isFloatingPoint }
    if floating.isEmpty { return table.first { $0.type == .f32 } }
    let rows = floating.map { type in table.first { $0.type == type } }
    if rows.contains(where: { $0 == nil }) { return nil }
    return rows.compactMap { $0 }.max { $0.share < $1.share }
  }
}
