import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage

let pool = ThreadPool(threadCount: 1)

/// The weights of a fixture by name, in the orientation of the graph: `[in, out]`.
struct Tensors {
  var table: [String: (shape: [Int], values: [Float])] = [:]
  /// The element type the weights are stored in; the graph computes in F32.
  var stored = ElementType.f32
  /// The formats in which matrices are packed along their inputs, by the last part of the name.
  var packed: [String: BlockFormat] = [:]
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  mutating func make(_ name: String, _ shape: [Int]) {
    let values = (0..<shape.reduce(1, *)).map { _ -> Float in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let number = Float(Int64(state >> 40) - 8_388_608) / 8_388_608
      return number == 0 ? 0.5 : number
    }
    table[name] = (shape, values)
  }

  /// Sets the elements at some columns (or positions of a vector).
  mutating func set(_ name: String, columns: Range<Int>, to value: Float = 0) {
    guard let shape = table[name]?.shape, let width = shape.last else { preconditionFailure("no tensor \(name)") }
    for row in 0..<shape.dropLast().reduce(1, *) {
      for column in columns { table[name]?.values[row * width + column] = value }
    }
  }

  /// Sets the elements of some rows of a matrix.
  mutating func set(_ name: String, rows: Range<Int>, to value: Float = 0) {
    guard let shape = table[name]?.shape else { preconditionFailure("no tensor \(name)") }
    for row in rows { for column in 0..<shape[1] { table[name]?.values[row * shape[1] + column] = value } }
  }

  func weight(_ name: String) -> Weight {
    guard let (shape, values) = table[name] else { preconditionFailure("no tensor \(name)") }
    if let format = packed[name.split(separator: ".").last.map(String.init) ?? name], shape.count == 2 {
      return PackedMatrix.weight(values, rows: shape[0], columns: shape[1], format)
    }
    let weight = Weight.floats(values, shape: Shape(shape))
    return stored == .f32 ? weight : weight.cast(to: stored).cast(to: .f32)
  }
}

enum Norm { case layer, rms }
enum FeedForward: String, CaseIterable { case gelu = "Gelu", relu = "Relu", sigmoid = "Sigmoid", swiglu, fusedSwiglu }
enum Projection { case separate, fused }

/// A small transformer of a given kind, with weights that can be changed before the graph is built.
struct Fixture {
  var layers = 1
  var width = 16
  var heads = 4
  var groups = 4
  var size = 4
  var neurons = 12
  var norm = Norm.layer
  var biases = true
  var rotary = false
  var headNorms = false
  var projection = Projection.separate
  var feedForward = FeedForward.gelu
  var preNorm = false
  var tensors = Tensors()

  static func bert(layers: Int = 1) -> Fixture { Fixture(layers: layers).filled() }

  static func llama(layers: Int = 1, heads: Int = 6, groups: Int = 3, headNorms: Bool = true) -> Fixture {
    Fixture(
      layers: layers, heads: heads, groups: groups, norm: .rms, biases: false, rotary: true, headNorms: headNorms,
      feedForward: .swiglu, preNorm: true
    ).filled()
  }

  static func gpt2(layers: Int = 1) -> Fixture {
    Fixture(layers: layers, projection: .fused, preNorm: true).filled()
  }

  func with(_ feedForward: FeedForward) -> Fixture {
    var copy = self
    copy.feedForward = feedForward
    return copy.filled()
  }

  func filled() -> Fixture {
    var copy = self
    copy.tensors = Tensors()
    copy.tensors.packed = tensors.packed
    for layer in 0..<layers {
      let p = "layer.\(layer)."
      let fused = projection == .fused
      for (name, extent) in fused
        ? [("qkv", (heads + 2 * groups) * size)] : [("q", heads * size), ("k", groups * size), ("v", groups * size)]
      {
        copy.tensors.make(p + name, [width, extent])
        if biases { copy.tensors.make(p + name + ".bias", [extent]) }
      }
      copy.tensors.make(p + "o", [heads * size, width])
      let inner =
        feedForward == .fusedSwiglu
        ? [("gateup", 2 * neurons)]
        : feedForward == .swiglu ? [("gate", neurons), ("up", neurons)] : [("up", neurons)]
      for (name, extent) in inner {
        copy.tensors.make(p + name, [width, extent])
        if biases { copy.tensors.make(p + name + ".bias", [extent]) }
      }
      copy.tensors.make(p + "down", [neurons, width])
      for name in ["o.bias", "down.bias", "norm1", "norm1.bias", "norm2", "norm2.bias"] {
        copy.tensors.make(p + name, [width])
      }
      for name in ["qnorm", "knorm"] { copy.tensors.make(p + name, [size]) }
    }
    return copy
  }

  func graph() throws -> Graph {
    var builder = GraphBuilder(name: "fixture")
    let batch = Size.symbol("batch")
    let length = Size.symbol("sequence")
    var x = builder.input("x", ValueType(.f32, [batch, length, Size(width)]))
    let half = ValueType(.f32, [batch, length, Size(size / 2)])
    let angles = rotary ? (builder.input("cos", half), builder.input("sin", half)) : nil
    for layer in 0..<layers {
      builder.scope = "encoder.layer.\(layer)"
      x = try attention(x, layer, angles, &builder)
      x = try feedForward(x, layer, &builder)
    }
    builder.scope = ""
    builder.output("y", try builder.add("Identity", [x]))
    let graph = builder.graph
    try graph.validate()
    return graph
  }

  private func constant(_ name: String, _ builder: inout GraphBuilder) -> ValueID {
    builder.initializer(name, tensors.weight(name))
  }

  private func normalised(_ x: ValueID, _ name: String, _ builder: inout GraphBuilder) throws -> ValueID {
    let scale = constant(name, &builder)
    if norm == .rms { return try builder.add("RMSNormalization", [x, scale]) }
    return try builder.add("LayerNormalization", [x, scale, constant(name + ".bias", &builder)])
  }

  private func linear(_ x: ValueID, _ name: String, _ builder: inout GraphBuilder) throws -> ValueID {
    let product = try builder.add("MatMul", [x, constant(name, &builder)])
    guard biases || name.hasSuffix(".o") || name.hasSuffix(".down") else { return product }
    return try builder.add("Add", [product, constant(name + ".bias", &builder)])
  }

  private func attention(
    _ x: ValueID, _ layer: Int, _ angles: (ValueID, ValueID)?, _ builder: inout GraphBuilder
  ) throws -> ValueID {
    let p = "layer.\(layer)."
    let input = preNorm ? try normalised(x, p + "norm1", &builder) : x
    var parts: [ValueID]
    if projection == .fused {
      let fused = try linear(input, p + "qkv", &builder)
      let sizes = builder.integers([heads * size, groups * size, groups * size])
      parts = try builder.add("Split", [fused, sizes], ["axis": .integer(-1)], outputs: 3)
    } else {
      parts = try ["q", "k", "v"].map { try linear(input, p + $0, &builder) }
    }
    for (slot, count) in [heads, groups, groups].enumerated() {
      let shape = builder.integers([0, 0, count, size])
      parts[slot] = try builder.add("Reshape", [parts[slot], shape])
      if headNorms, slot < 2 {
        parts[slot] = try builder.add(
          "RMSNormalization", [parts[slot], constant(p + (slot == 0 ? "qnorm" : "knorm"), &builder)])
      }
      parts[slot] = try builder.add("Transpose", [parts[slot]], ["perm": .integers([0, 2, 1, 3])])
      if let angles, slot < 2 { parts[slot] = try builder.add("RotaryEmbedding", [parts[slot], angles.0, angles.1]) }
    }
    var y = try builder.add("Attention", parts, ["scale": .float(0.25)])
    y = try builder.add("Transpose", [y], ["perm": .integers([0, 2, 1, 3])])
    y = try builder.add("Reshape", [y, builder.integers([0, 0, -1])])
    y = try builder.add("Add", [try linear(y, p + "o", &builder), x])
    return preNorm ? y : try normalised(y, p + "norm1", &builder)
  }

  private func feedForward(_ x: ValueID, _ layer: Int, _ builder: inout GraphBuilder) throws -> ValueID {
    let p = "layer.\(layer)."
    let input = preNorm ? try normalised(x, p + "norm2", &builder) : x
    let inner: ValueID
    switch feedForward {
    case .swiglu:
      let gate = try builder.add("Swish", [try linear(input, p + "gate", &builder)])
      inner = try builder.add("Mul", [gate, try linear(input, p + "up", &builder)])
    case .fusedSwiglu:
      let both = try builder.add(
        "Split", [try linear(input, p + "gateup", &builder)], ["axis": .integer(-1), "num_outputs": .integer(2)],
        outputs: 2)
      inner = try builder.add("Mul", [try builder.add("Swish", [both[0]]), both[1]])
    default: inner = try builder.add(feedForward.rawValue, [try linear(input, p + "up", &builder)])
    }
    let y = try builder.add("Add", [try linear(inner, p + "down", &builder), x])
    return preNorm ? y : try normalised(y, p + "norm2", &builder)
  }

  /// Inputs of some shape with numbers that repeat nowhere.
  func inputs(batch: Int = 2, length: Int = 3) -> [String: Reference] {
    func numbers(_ count: Int, _ step: Double) -> [Double] {
      (0..<count).map { (Double($0) * step).truncatingRemainder(dividingBy: 2) - 1 }
    }
    var result = ["x": Reference(shape: [batch, length, width], data: numbers(batch * length * width, 0.61803))]
    if rotary {
      let shape = [batch, length, size / 2]
      result["cos"] = Reference(shape: shape, data: numbers(shape.reduce(1, *), 0.4142))
      result["sin"] = Reference(shape: shape, data: numbers(shape.reduce(1, *), 0.7320))
    }
    return result
  }
}

extension Graph {
  /// The output of a graph by the reference evaluator.
  func output(_ inputs: [String: Reference]) throws -> Reference? { try ReferenceEvaluator(self, inputs: inputs)["y"] }

  /// The numbers of an initializer by name.
  func numbers(_ name: String) throws -> [Float]? {
    try value(named: name).flatMap { self[$0].initializer }?.cast(to: .f32).floats()
  }

  /// The extents of an initializer by name.
  func extents(_ name: String) -> [Int]? { value(named: name).flatMap { self[$0].initializer }?.shape.extents }
}

extension CompactionPlan {
  /// A plan under no loader rules.
  static func make(
    _ map: DimensionMap, mask: UnitMask? = nil, shape: CompactionShape = .ragged, rules: [LoaderRule] = [],
    loader: String? = nil, roundTo: Int = 1, requantizes: Bool = false,
    writesBlocks: Bool = true,
    allowsPadding: Bool = true, allowsRetarget: Bool = false, insists: Bool = false, folds: Bool = false,
    addsBiases: Bool = false
  ) throws -> CompactionPlan {
    var request = CompactionRequest(
      mask: mask, shape: shape, loader: loader, roundTo: roundTo, requantizes: requantizes,
      writesBlocks: writesBlocks,
      allowsPadding: allowsPadding, allowsRetarget: allowsRetarget, allowsNearlyEverything: insists)
    request.folds = folds
    request.addsBiases = addsBiases
    return try CompactionPlan(map: map, request: request, rules: LoaderRules(rules), pool: pool)
  }
}

/// A mask list with 0 at some places.
func keeping(_ count: Int, without removed: [Int]) -> [Float] { (0..<count).map { removed.contains($0) ? 0 : 1 } }
