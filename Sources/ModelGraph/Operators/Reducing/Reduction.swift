import PollardBase
import TensorStorage

/// One number for all elements along some axes: their sum, their largest, or the like.
///
/// The axes are an attribute in old versions and an operand in new ones; without them all axes are reduced.
struct Reduction: Operator {
  let name: OperatorName
  let formula: String
  let version: Int
  /// Whether the number for zeros only is zero.
  let keepsZero: Bool
  /// The number for symbolic sizes, for shape arithmetic.
  let sizes: (@Sendable ([Size]) -> Size?)?

  init(
    _ name: String, _ formula: String, since version: Int, keepsZero: Bool = true,
    sizes: (@Sendable ([Size]) -> Size?)? = nil
  ) {
    self.name = OperatorName(name)
    self.formula = formula
    self.version = version
    self.keepsZero = keepsZero
    self.sizes = sizes
  }

  var shapeOperands: Set<Int> { [1] }
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)` along the given axes, or of the whole tensor.",
      shapes: "x: `[…]`; axes: `[n]` (an attribute in old versions); y: without those axes, or extent 1.",
      axes: "Reduced axes are pinned; the others are themselves.",
      zeros: keepsZero ? "Zero where all reduced elements are." : "Unknown.", source: "ONNX \(name)-\(version)",
      family: "Reductions")
  }

  /// The reduced axes; nil when they are not known.
  private func axes<Context: NodeContext>(_ context: Context, rank: Int) -> Set<Int>? {
    let isNothing = context.node.integer("noop_with_empty_axes", default: 0) != 0
    switch context.list("axes", slot: 1) {
    case .computed: return nil
    case .absent: return isNothing ? [] : Set(0..<rank)
    case .known(let given):
      if given.isEmpty { return isNothing ? [] : Set(0..<rank) }
      return Context.normal(given, rank: rank).map(Set.init)
    }
  }

  private func keeps(_ node: Node) -> Bool { node.integer("keepdims", default: 1) != 0 }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape else { return context.set(0, type) }
    guard let reduced = axes(context, rank: shape.count) else {
      if case .known(let given) = context.list("axes", slot: 1) {
        throw context.failure(expected: "different axes of a tensor of rank \(shape.count)", found: "\(given)")
      }
      let unknown = shape.indices.map { context.dataDependentSize(".\($0)") }
      return context.set(0, ValueType(type.element, keeps(context.node) ? unknown : nil))
    }
    var result: [Size] = []
    for (axis, size) in shape.enumerated() {
      if !reduced.contains(axis) {
        result.append(size)
      } else if keeps(context.node) {
        result.append(Size(1))
      }
    }
    context.set(0, ValueType(type.element, result))
    guard let sizes, result.count <= 1, reduced.count == shape.count, let elements = context.elements(0) else { return }
    let known = elements.compactMap(\.size)
    let size = known.count == elements.count ? sizes(known) : nil
    context.setElements(0, [SymbolicElement(size, origins: Set(elements.flatMap(\.origins)))])
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let reduced = axes(context, rank: rank) else { return }
    var place = 0
    for axis in 0..<rank {
      if reduced.contains(axis) {
        context.pin(.input(0, axis), .reduced)
        if keeps(context.node) { place += 1 }
      } else {
        context.unify(.input(0, axis), .output(0, place))
        place += 1
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(),
      let reduced = axes(context, rank: x.shape.count)
    else { return }
    var result = x.joining(reduced, shape: shape)
    for index in result.packed.indices where result.packed[index] <= .constant {
      let stays = result.packed[index] == .zero && keepsZero || reduced.isEmpty
      if !stays {
        result.packed[index] = .unknown
        result.packedConstants[index] = 0
      }
    }
    context.set(0, result)
  }

  /// Without axes everything is reduced, also what is left of an axis: nothing depends on how many positions there are.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {}

  static let all = [
    Reduction("ReduceSum", "Σ x", since: 13, sizes: { sum($0) }),
    Reduction("ReduceMean", "mean x", since: 18),
    Reduction("ReduceMax", "max x", since: 20, sizes: { $0.count == 1 ? $0[0] : nil }),
    Reduction("ReduceMin", "min x", since: 20, sizes: { $0.count == 1 ? $0[0] : nil }),
    Reduction("ReduceProd", "Π x", since: 18, sizes: { Size.product($0) }),
    Reduction("ReduceL1", "Σ |x|", since: 18),
    Reduction("ReduceL2", "√(Σ x²)", since: 18),
    Reduction("ReduceSumSquare", "Σ x²", since: 18),
    Reduction("ReduceLogSum", "ln Σ x", since: 18, keepsZero: false),
    Reduction("ReduceLogSumExp", "ln Σ e^x", since: 18, keepsZero: false),
  ]

  private static func sum(_ sizes: [Size]) -> Size? {
    var result: Size? = Size(0)
    for size in sizes { result = result?.adding(size) }
    return result
  }
}
