/// Every operator the program knows, by name.
public enum OperatorRegistry {
  /// All operators, in the order of the operator table.
  public static let all: [any Operator] = families.flatMap { $0 }

  private static let families: [[any Operator]] = [
    UnaryOperator.all, BinaryOperator.all, VariadicOperator.all, NumberTest.all, BiasedActivation.all,
    [SwiGLU(), Where(), Clip(), Cast(), Cast(isLike: true), Identity(), Identity("Dropout", since: 22, ignoring: 2)],
    [Transpose(), Reshape(), Flatten(), Unsqueeze(), Squeeze(), Expand(), Concat(), Split(), Slice()],
    [Pad(), Tile(), Trilu()], DepthToSpace.all, Resize.all,
    [Gather(), GatherElements(), GatherND()], Scatter.all, [TensorScatter(), TopK(), OneHot(), NonZero()],
    [RangeOperator(), ShapeOf(), SizeOf(), ConstantOfShape(), Constant(), EyeLike()],
    RandomOperator.all,
    Reduction.all, ArgumentReduction.all, RunningReduction.all,
    [MatMul()], FusedMatMul.all, Gemm.all, [Einsum()], Conv.all, [ConvTranspose()], Pooling.all,
    Softmax.all, [LayerNormalization()], RMSNormalization.all, SkipNormalization.all, EmbedLayerNormalization.all,
    [BatchNormalization()], InstanceNormalization.all, AxisNormalization.all,
    RotaryEmbedding.all, [Attention()], FusedAttention.all,
    [MultiHeadAttention(), GroupQueryAttention(), RelativePositionBias()],
    QuantizeLinear.all, DequantizeLinear.all, [DynamicQuantizeLinear()], IntegerProduct.all, [MatMulNBits()],
    [If()], HeldOperator.repetitions, HeldOperator.sequences, HeldOperator.functions, PinnedOperator.all,
  ]

  private static let table: [OperatorName: any Operator] = Dictionary(
    all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  /// The operator with a name; an operator nobody described is opaque: its shapes are unknown and its axes pinned.
  public static func find(_ name: OperatorName) -> any Operator { table[name] ?? OpaqueOperator(name: name) }

  /// Whether an operator is described.
  public static func knows(_ name: OperatorName) -> Bool { table[name] != nil }
}
