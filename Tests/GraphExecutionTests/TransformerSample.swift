import GraphExecution
import ModelGraph
import TensorStorage

/// A small encoder with random weights, matrices stored outputs first as checkpoints store them.
struct TransformerSample {
  var hidden = 24
  var heads = 4
  var headSize = 6
  var neurons = 37
  var layers = 2
  var vocabulary = 50
  var positions = 16
  var seed: UInt64 = 7
  /// Heads and neurons whose consumer weights are zero.
  var dead = Units()
  /// Whether dead units are left out instead.
  var removesDead = false
  /// Makes a weight from a name, its shape and a bound of its elements; nil for literals made from the seed.
  var source: ((String, Shape, Float) -> Weight)?

  struct Units {
    var heads: [Int] = []
    var neurons: [Int] = []
  }

  /// The values worth looking at, by layer: what attention gives per head, and the neurons after their activation.
  struct Places {
    var heads: [ValueID] = []
    var neurons: [ValueID] = []
  }

  func build() throws -> (graph: Graph, places: Places) {
    var builder = GraphBuilder(name: "encoder")
    var places = Places()
    let (batch, sequence) = (Size.symbol("batch"), Size.symbol("sequence"))
    let ids = builder.input("input_ids", ValueType(.i64, [batch, sequence]))
    let mask = builder.input("attention_mask", ValueType(.i64, [batch, sequence]), derivedBy: .ones)
    let place = builder.input("position_ids", ValueType(.i64, [batch, sequence]), derivedBy: .ascending)
    let words = builder.initializer("words", weight("words", [vocabulary, hidden]))
    let table = builder.initializer("positions", weight("positions", [positions, hidden]))
    var x = try builder.add("Add", [builder.add("Gather", [words, ids]), builder.add("Gather", [table, place])])
    x = try norm(&builder, "embeddings.norm", x)
    let allowed = try builder.add(
      "Unsqueeze", [builder.add("Cast", [mask], ["to": .onnxType(.bool)]), builder.integers([1, 2])])
    for layer in 0..<layers {
      let name = "layer.\(layer)"
      builder.scope = name
      let query = try split(&builder, project(&builder, "\(name).query", x, rows: keptHeads, of: heads * headSize))
      let key = try split(&builder, project(&builder, "\(name).key", x, rows: keptHeads, of: heads * headSize))
      let value = try split(&builder, project(&builder, "\(name).value", x, rows: keptHeads, of: heads * headSize))
      let scale = 1 / Float(headSize).squareRoot()
      let attended = try builder.add("Attention", [query, key, value, allowed], ["scale": .float(scale)])
      places.heads.append(attended)
      let joined = try builder.add(
        "Reshape",
        [builder.add("Transpose", [attended], ["perm": .integers([0, 2, 1, 3])]), builder.integers([0, 0, -1])])
      let output = try consume(&builder, "\(name).output", joined, units: dead.heads, size: headSize, of: heads)
      x = try norm(&builder, "\(name).norm1", builder.add("Add", [output, x]))
      let up = try project(&builder, "\(name).up", x, rows: keptNeurons, of: neurons)
      let active = try builder.add("Gelu", [up])
      places.neurons.append(active)
      let down = try consume(&builder, "\(name).down", active, units: dead.neurons, size: 1, of: neurons)
      x = try norm(&builder, "\(name).norm2", builder.add("Add", [down, x]))
      builder.tap("hidden_states.\(layer + 1)", x)
    }
    builder.output("last_hidden_state", x)
    return (builder.graph, places)
  }

  private var keptHeads: [Int]? {
    removesDead ? (0..<heads * headSize).filter { !dead.heads.contains($0 / headSize) } : nil
  }
  private var keptNeurons: [Int]? { removesDead ? (0..<neurons).filter { !dead.neurons.contains($0) } : nil }

  private func weight(_ name: String, _ shape: Shape) -> Weight {
    let bound = 1 / Float(shape.extents.last ?? 1).squareRoot()
    if let source { return source(name, shape, bound) }
    var key = seed
    for byte in name.utf8 { key = key &* 1_099_511_628_211 ^ UInt64(byte) }
    var random = RandomNumbers(seed: key)
    return .floats(random.floats(shape.elementCount, within: 2 * bound), shape: shape)
  }

  private func norm(_ builder: inout GraphBuilder, _ name: String, _ x: ValueID) throws -> ValueID {
    let scale = builder.initializer("\(name).weight", weight("\(name).weight", [hidden]))
    let bias = builder.initializer("\(name).bias", weight("\(name).bias", [hidden]))
    return try builder.add("LayerNormalization", [x, scale, bias], ["epsilon": .float(1e-12)])
  }

  private func project(
    _ builder: inout GraphBuilder, _ name: String, _ x: ValueID, rows: [Int]?, of count: Int
  ) throws -> ValueID {
    var matrix = weight("\(name).weight", [count, hidden])
    var bias = weight("\(name).bias", [count])
    if let rows {
      matrix = matrix.keeping(rows, axis: 0)
      bias = bias.keeping(rows, axis: 0)
    }
    let product = try builder.add("MatMul", [x, builder.initializer("\(name).weight", matrix.transposed())])
    return try builder.add("Add", [product, builder.initializer("\(name).bias", bias)])
  }

  private func consume(
    _ builder: inout GraphBuilder, _ name: String, _ x: ValueID, units: [Int], size: Int, of count: Int
  ) throws -> ValueID {
    let columns = units.flatMap { $0 * size..<($0 + 1) * size }
    var matrix = weight("\(name).weight", [hidden, count * size])
    matrix =
      removesDead
      ? matrix.keeping((0..<count * size).filter { !columns.contains($0) }, axis: 1) : matrix.zeroing(columns, axis: 1)
    let product = try builder.add("MatMul", [x, builder.initializer("\(name).weight", matrix.transposed())])
    return try builder.add("Add", [product, builder.initializer("\(name).bias", weight("\(name).bias", [hidden]))])
  }

  private func split(_ builder: inout GraphBuilder, _ x: ValueID) throws -> ValueID {
    let shape = builder.integers([0, 0, -1, headSize])
    return try builder.add("Transpose", [builder.add("Reshape", [x, shape])], ["perm": .integers([0, 2, 1, 3])])
  }

  /// Token numbers of two sequences, and a mask under which the second ends early.
  func inputs(batch: Int = 2, sequence: Int = 11) -> [String: Tensor] {
    var random = RandomNumbers(seed: seed &+ 1)
    let ids = (0..<batch * sequence).map { _ in Int64.random(in: 0..<Int64(vocabulary), using: &random) }
    let mask = (0..<batch * sequence).map { Int64($0 % sequence < sequence - 3 * ($0 / sequence) ? 1 : 0) }
    return [
      "input_ids": Tensor(integers: ids, extents: [batch, sequence]),
      "attention_mask": Tensor(integers: mask, extents: [batch, sequence]),
    ]
  }
}
