import PollardBase
import TensorStorage

/// An operator none of whose axes may shrink: what is in a body, or in a sequence, is not followed.
struct HeldOperator: Operator {
  /// Where the element types of results come from.
  enum ResultElements: Sendable {
    /// The results of the body, from this one on.
    case body(from: Int)
    /// The operand of a slot.
    case operand(Int)
    /// Always the same.
    case fixed(ElementType)
    /// The attribute of this name, an ONNX type number; F32 where there is none.
    case attribute(String)
    /// No tensors, or tensors that nothing is known of.
    case unknown
  }

  let name: OperatorName
  let requiredInputs: Int
  let documentation: OperatorDocumentation
  private let elements: ResultElements

  private init(
    _ name: String, domain: String = "", requires count: Int, _ elements: ResultElements, _ summary: String,
    shapes: String, source: String, family: String = ""
  ) {
    self.name = OperatorName(name, domain: domain)
    requiredInputs = count
    self.elements = elements
    documentation = OperatorDocumentation(
      summary: summary, shapes: shapes, axes: "Every axis is pinned.", zeros: "Unknown.", source: source,
      family: family)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    for slot in context.node.outputs.indices {
      let element: ElementType?
      switch elements {
      case .body(let first):
        let types = context.node.bodies.first { $0.attribute == "body" }?.resultTypes ?? []
        element = types.indices.contains(first + slot) ? types[first + slot]?.element : nil
      case .operand(let operand): element = context.element(operand)
      case .fixed(let type): element = type
      case .attribute(let name): element = Cast.types[context.node.integer(name, default: 1)]
      case .unknown: element = nil
      }
      if let element { context.set(slot, ValueType(element, nil)) }
    }
  }

  func relate(_ context: inout AxisContext) {}
}

extension HeldOperator {
  /// The operators with a body that runs any number of times.
  static let repetitions = [
    HeldOperator(
      "Loop", requires: 0, .body(from: 1),
      "Runs its body up to `trips` times and while the condition holds; states go from one run to the next.",
      shapes:
        "trips, condition: scalars; states: `[…]`; results: the last states, then `[iterations, …]` for what each run gives.",
      source: "ONNX Loop-25"),
    HeldOperator(
      "Scan", requires: 0, .body(from: 0),
      "Runs its body for each position of an axis of its inputs; states go from one run to the next.",
      shapes:
        "states: `[…]`; inputs: `[…, n, …]`; results: the last states, then `[…, n, …]`. Version 8 has lengths, and a batch axis first.",
      source: "ONNX Scan-25"),
    HeldOperator(
      "SequenceMap", requires: 1, .unknown, "Runs its body for each tensor of a sequence.",
      shapes: "sequence, other sequences of its length, tensors; results: sequences of its length.",
      source: "ONNX SequenceMap-17"),
  ]

  /// The operators of sequences and of optional values.
  static let sequences: [HeldOperator] = [
    row("SequenceEmpty", 0, .unknown, "`y = ()`.", "11"),
    row("SequenceConstruct", 1, .unknown, "`y = (x₀, x₁, …)`.", "11"),
    row("SequenceAt", 2, .unknown, "`y = sₚ`; p counts from the end when it is negative.", "11"),
    row("SequenceInsert", 2, .unknown, "`y` is s with x before place p, or behind the last.", "11"),
    row("SequenceErase", 1, .unknown, "`y` is s without the element at place p, or without the last.", "11"),
    row("SequenceLength", 1, .fixed(.i64), "`y` is the number of tensors of s.", "11"),
    row("SplitToSequence", 1, .unknown, "`y` is the parts of x along an axis.", "24"),
    row(
      "ConcatFromSequence", 1, .unknown, "`y` is the tensors of s along an axis of theirs, or along a new one.", "11"),
    row("Optional", 0, .unknown, "`y` is x, or the value that is not there.", "28"),
    row("OptionalHasElement", 0, .fixed(.bool), "`y` says whether the value is there.", "28"),
    row("OptionalGetElement", 1, .operand(0), "`y` is the value, which must be there.", "28"),
  ]

  private static func row(
    _ name: String, _ count: Int, _ elements: ResultElements, _ summary: String, _ version: String
  ) -> HeldOperator {
    HeldOperator(
      name, requires: count, elements, summary, shapes: "s: a sequence of tensors; x, y: `[…]`; p: scalar.",
      source: "ONNX \(name)-\(version)", family: "Sequences and optional values")
  }

  /// Operators that the standard defines by a function of others.
  static let functions: [HeldOperator] =
    ["HannWindow", "HammingWindow", "BlackmanWindow"].map { name in
      HeldOperator(
        name, requires: 1, .attribute("output_datatype"),
        "`yₙ = a₀ - a₁ cos(2πn/N) + a₂ cos(4πn/N)`, N the size, or one less when symmetric.",
        shapes: "size: scalar; y: `[size]`.", source: "ONNX \(name)-17", family: "Windows")
    } + [
      HeldOperator(
        "AffineGrid", requires: 2, .operand(0), "`y = θ · (x, y, (z,) 1)` for each position from -1 to 1.",
        shapes: "θ: `[N, d, d + 1]`; size: `[N, C, (D,) H, W]`; y: `[N, (D,) H, W, d]`.", source: "ONNX AffineGrid-20"),
      HeldOperator(
        "CenterCropPad", requires: 2, .operand(0), "`y` is the middle of x, or x in the middle of zeros.",
        shapes: "x, y: `[…]` of one rank; shape: an extent for each of the axes.", source: "ONNX CenterCropPad-18"),
      HeldOperator(
        "LinearAttention", requires: 3, .operand(0), "`S ← e^g · S + k ⊗ u`, `o = scale · qᵀS`, u = v or `β(v - Sᵀk)`.",
        shapes:
          "q: `[B, T, H·K]`; k: `[B, T, G·K]`; v: `[B, T, G·V]`; states: `[B, G, K, V]`; o: `[B, T, H·V]`; H heads in G groups.",
        source: "ONNX LinearAttention-27"),
      HeldOperator(
        "CausalConvWithState", requires: 2, .operand(0),
        "`yₜ = bias + Σⱼ wⱼ · xₜ₋ₖ₊₁₊ⱼ` in each channel, then SiLU if asked for.",
        shapes: "x, y: `[B, C, L]`; w: `[C, 1, k]`; states: `[B, C, k - 1]`.", source: "ONNX CausalConvWithState-27"),
      HeldOperator(
        "FlexAttention", domain: "ai.onnx.preview", requires: 3, .operand(0),
        "`y = prob_mod(softmax(score_mod(q · kᵀ · scale))) · v`, with graphs of the model as score_mod and prob_mod.",
        shapes: "q: `[B, H, L, E]`; k: `[B, G, S, E]`; v: `[B, G, S, V]`; y: `[B, H, L, V]`; H heads in G groups.",
        source: "ONNX ai.onnx.preview FlexAttention-1"),
    ]
}
