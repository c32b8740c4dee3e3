/// Every operator the program knows, by name.
public enum OperatorRegistry {
  /// All operators, in the order of the operator table.
  public static let all: [any Operator] =
    UnaryOperator.all + BinaryOperator.all + [
      Where(), Cast(), Identity(), Transpose(), Reshape(), Unsqueeze(), Squeeze(), Expand(), Concat(), Split(), Slice(),
      Gather(), RangeOperator(), ShapeOf(), CumSum(), ReduceMax(), MatMul(), Softmax(), LayerNormalization(),
      RMSNormalization(),
      RotaryEmbedding(), Attention(),
    ]

  private static let table: [OperatorName: any Operator] = Dictionary(
    all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  /// The operator with a name; an operator nobody described is opaque: its shapes are unknown and its axes pinned.
  public static func find(_ name: OperatorName) -> any Operator { table[name] ?? OpaqueOperator(name: name) }

  /// Whether an operator is described.
  public static func knows(_ name: OperatorName) -> Bool { table[name] != nil }
}
