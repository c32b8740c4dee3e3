import PollardBase

/// How one operator is written where the operator set lacks it, or has it in an older form.
///
/// A rule replaces a node by nodes that compute the same; what those use may be lowered again. Rules read the newest form of an operator.
struct Lowering: Sendable {
  /// The operator of ONNX's own set.
  let op: String
  /// The operator set from which on the node can stay as it is.
  let since: Int
  /// Emits what replaces the node; the last node emitted with `finish` provides the node's results.
  let rule: @Sendable (inout LoweringContext) throws(GraphError) -> Void

  init(
    _ op: String, since: Int, _ rule: @escaping @Sendable (inout LoweringContext) throws(GraphError) -> Void
  ) {
    self.op = op
    self.since = since
    self.rule = rule
  }

  /// Every rule. Of several for one operator the one with the lowest `since` above the wanted operator set applies first.
  static let all: [Lowering] =
    [
      .attention, .rotaryEmbedding, .rmsNormalization, .layerNormalization,
      .gelu, .swish, .swiGLU, .mish, .hardSwish,
      .shapeRange, .splitCount, .splitSizes,
      .squeezeAxes, .unsqueezeAxes, .lessOrEqual, .greaterOrEqual,
      .lastAxisOnly("Softmax"), .lastAxisOnly("LogSoftmax"),
    ] + Lowering.reductions + Lowering.laterAttributes + Lowering.withheld

  /// The rules by operator, in the order in which they are tried.
  static let table: [String: [Lowering]] = Dictionary(grouping: all, by: \.op).mapValues {
    $0.sorted { $0.since > $1.since }
  }
}

extension Graph {
  /// The oldest operator set that graphs are lowered to.
  public static let oldestOperatorSet = 11

  /// The same computation in the words of an older operator set of ONNX.
  ///
  /// Operators that the set lacks are written with those it has, and nodes take the form and the version of the set:
  ///
  ///     y = RMSNormalization(x, scale)          y₁ = Pow(x, 2);  y₂ = ReduceMean(y₁, axes: [-1]);  y₃ = Add(y₂, ε)
  ///                                      →      y₄ = Sqrt(y₃);  y₅ = Div(x, y₄);  y = Mul(y₅, scale)
  ///
  /// Values keep their numbers and names; those in between are new. Sums are taken in another order than the composite operators take them, so
  /// results agree up to rounding, and where a rule says otherwise.
  ///
  /// - Parameters:
  ///   - operatorSet: from `oldestOperatorSet` to `Node.currentVersion`.
  ///   - missing: operators that the set has but that are to be decomposed in any case, because a runtime lacks them.
  /// - Throws: `unsupported` naming the node whose operator, form or attribute cannot be written in the set.
  /// - Complexity: O(nodes).
  public func lowered(to operatorSet: Int, without missing: Set<String> = []) throws(GraphError) -> Graph {
    guard (Self.oldestOperatorSet...Node.currentVersion).contains(operatorSet) else {
      throw GraphError(
        .unsupported, subject: .option("the operator set"),
        expected: "a number from \(Self.oldestOperatorSet) to \(Node.currentVersion)", found: "\(operatorSet)")
    }
    let lowerer = Lowerer(self, to: operatorSet, without: missing)
    for node in nodes { try lowerer.lower(node) }
    return lowerer.result
  }

  /// The operator sets at which rules for an operator end.
  package static func loweringVersions(of op: String) -> [Int] { (Lowering.table[op] ?? []).map(\.since) }
}
