import ModelGraph
import PollardBase
import TensorStorage

extension ModelBuilder {
  /// `x Wᵀ + b` with W stored `[outputs, inputs]` as `name.weight` and b `[outputs]` as `name.bias`.
  ///
  /// - x: `[…, inputs]`; result: `[…, outputs]`.
  mutating func linear(
    _ x: ValueID, _ name: String, outputs: Int, inputs: Int, bias: Bool = true
  ) throws(FormatError) -> ValueID {
    let weight = try transposedMatrix(name + ".weight", outputs: outputs, inputs: inputs)
    let product = try add("MatMul", [x, weight])
    return bias ? try add("Add", [product, parameter(name + ".bias", [outputs])]) : product
  }

  /// `x W + b` with W stored `[inputs, outputs]`, as GPT-2 stores its matrices.
  mutating func untransposedLinear(
    _ x: ValueID, _ name: String, outputs: Int, inputs: Int
  ) throws(FormatError) -> ValueID {
    let weight = try parameter(name + ".weight", [inputs, outputs])
    return try add("Add", [add("MatMul", [x, weight]), parameter(name + ".bias", [outputs])])
  }

  /// Layer normalisation over the last axis of `[…, width]`.
  mutating func layerNorm(_ x: ValueID, _ name: String, width: Int, epsilon: Double) throws(FormatError) -> ValueID {
    let scale = try parameter(name + ".weight", [width])
    let bias = try parameter(name + ".bias", [width])
    return try add("LayerNormalization", [x, scale, bias], ["axis": .integer(-1), "epsilon": .float(Float(epsilon))])
  }

  /// Root-mean-square normalisation over the last axis of `[…, width]`; the factors are the stored weights plus
  /// `offset`.
  mutating func rmsNorm(
    _ x: ValueID, _ name: String, width: Int, epsilon: Double, offset: Float = 0
  ) throws(FormatError) -> ValueID {
    let scale = try parameter(name + ".weight", [width], plus: offset)
    return try add("RMSNormalization", [x, scale], ["axis": .integer(-1), "epsilon": .float(Float(epsilon))])
  }

  /// `[batch, sequence, heads · headDim]` as `[batch, sequence, heads, headDim]`.
  mutating func withHeadAxis(_ x: ValueID, heads: Int, headDim: Int) throws(FormatError) -> ValueID {
    try add("Reshape", [x, integers([0, 0, heads, headDim])])
  }

  /// `[batch, sequence, heads, headDim]` as `[batch, heads, sequence, headDim]`, and back.
  mutating func exchangingSequenceAndHeads(_ x: ValueID) throws(FormatError) -> ValueID {
    try add("Transpose", [x], ["perm": .integers([0, 2, 1, 3])])
  }

  /// Attention over heads, and the heads' outputs side by side again: `[batch, sequence, heads · headDim]`.
  ///
  /// - q: `[batch, heads, sequence, headDim]`; k, v: the same with key/value heads; mask: truth values, true where a
  ///   key is seen; cap: scaled scores s become `cap · tanh(s / cap)`, unless it is nil.
  mutating func attention(
    _ q: ValueID, _ k: ValueID, _ v: ValueID, mask: ValueID, scale: Double, cap: Double? = nil, isCausal: Bool,
    width: Int
  ) throws(FormatError) -> ValueID {
    var attributes: [String: Attribute] = [
      "scale": .float(Float(scale)), "is_causal": .integer(isCausal ? 1 : 0),
    ]
    if let cap { attributes["softcap"] = .float(Float(cap)) }
    let mixed = try add("Attention", [q, k, v, mask], attributes)
    return try add("Reshape", [exchangingSequenceAndHeads(mixed), integers([0, 0, width])])
  }

  /// Consecutive parts of the last axis of `[batch, sequence, Σ sizes]`.
  mutating func split(_ x: ValueID, _ sizes: [Int]) throws(FormatError) -> [ValueID] {
    try add("Split", [x, integers(sizes)], ["axis": .integer(2)], outputs: sizes.count)
  }

  /// `cap · tanh(x / cap)`, which is near x for small x and never beyond the cap.
  mutating func softCapped(_ x: ValueID, _ cap: Double) throws(FormatError) -> ValueID {
    let limit = scalar(Float(cap))
    return try add("Mul", [add("Tanh", [add("Div", [x, limit])]), limit])
  }

  /// Layer normalisation of each head `[batch, sequence, heads, headDim]` with factors of its own, stored as
  /// `name.norms.<head>.weight` `[headDim]`.
  mutating func eachHeadNorm(
    _ x: ValueID, _ name: String, heads: Int, headDim: Int, epsilon: Double
  ) throws(FormatError) -> ValueID {
    let ones = constant("\(name).ones", .floats(Array(repeating: 1, count: headDim), shape: [headDim]))
    let scale = try stackedParameter((0..<heads).map { "\(name).norms.\($0).weight" }, width: headDim)
    let normed = try add(
      "LayerNormalization", [x, ones], ["axis": .integer(-1), "epsilon": .float(Float(epsilon))])
    return try add("Mul", [normed, scale])
  }

  /// The state of the first token: `[batch, sequence, width]` to `[batch, width]`.
  mutating func firstToken(_ x: ValueID) throws(FormatError) -> ValueID {
    try add("Gather", [x, integerScalar(0)], ["axis": .integer(1)])
  }

  /// Declares the two outputs of a question-answering head from `[batch, sequence, 2]`.
  mutating func answerOutputs(_ x: ValueID) throws(FormatError) {
    let parts = try add("Split", [x, integers([1, 1])], ["axis": .integer(2)], outputs: 2)
    output("start_logits", try add("Squeeze", [parts[0], integers([2])]))
    output("end_logits", try add("Squeeze", [parts[1], integers([2])]))
  }

  /// The number of labels of a classification head: the rows of its stored matrix.
  func labelCount(_ matrix: String, inputs: Int) throws(FormatError) -> Int {
    try tensors.shape(matrix, expected: ["labels", "\(inputs)"])[0]
  }
}
