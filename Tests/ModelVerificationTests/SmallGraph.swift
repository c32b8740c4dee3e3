import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

let pool = ThreadPool(threadCount: 2)

/// `y = Relu(x · up) · down` with 2 channels and some neurons, weights as given: everything is worked out by hand.
struct SmallGraph {
  /// `[2, neurons]`, row by row.
  var up: [Float] = [1, 2, 3, 4, 5, 6]
  /// `[neurons, 2]`, row by row.
  var down: [Float] = [1, 0, 0, 1, 1, 1]
  /// Multiplies the result; a constant, not a tensor of the checkpoint.
  var factor: Float = 1
  var activation = "Relu"
  var output = "logits"
  /// Whether the second product takes the input's first product before the activation.
  var skipsActivation = false

  static let checkpointTensors: Set<String> = ["up", "down"]

  func build() throws -> (graph: Graph, neurons: ValueID, result: ValueID) {
    let neurons = up.count / 2
    var builder = GraphBuilder(name: "small")
    let x = builder.input("x", ValueType(.f32, [.symbol("batch"), .symbol("sequence"), 2]))
    _ = builder.input("attention_mask", ValueType(.i64, [.symbol("batch"), .symbol("sequence")]))
    let up = builder.initializer("up", .floats(up, shape: [2, neurons]))
    let down = builder.initializer("down", .floats(down, shape: [neurons, 2]))
    let factor = builder.initializer("factor", .floats([factor], shape: []))
    let product = try builder.add("MatMul", [x, up])
    let active = try builder.add(activation, [product])
    let sum = try builder.add("MatMul", [skipsActivation ? product : active, down])
    let result = try builder.add("Mul", [sum, factor])
    builder.output(output, result)
    return (builder.graph, active, result)
  }

  /// One sequence of tokens with 2 channels each.
  static func inputs(_ tokens: [[Float]], mask: [Int64]? = nil) -> [String: Tensor] {
    [
      "x": Tensor(floats: Array(tokens.joined()), extents: [1, tokens.count, 2]),
      "attention_mask": Tensor(
        integers: mask ?? Array(repeating: 1, count: tokens.count), extents: [1, tokens.count]),
    ]
  }
}
