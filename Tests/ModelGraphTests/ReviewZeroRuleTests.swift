import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("What counts as zero")
struct ReviewZeroRuleTests {
  /// What a sum over one term `f(constant)` says about the term.
  private func term(_ constant: Float, _ op: String, _ attributes: [String: Attribute] = [:]) throws -> ElementState? {
    var builder = GraphBuilder(name: "term")
    let x = builder.input("x", ValueType(.f32, [.symbol("batch"), 3]))
    let zeros = builder.initializer("zeros", .zeros(type: .f32, shape: [3, 1]))
    let bias = builder.initializer("bias", .floats([constant], shape: [1]))
    let reader = builder.initializer("reader", .floats([1, 2], shape: [1, 2]))
    let product = try builder.add("MatMul", [x, zeros])
    let sum = try builder.add("Add", [product, bias])
    let activated = try builder.add(op, [sum], attributes)
    builder.output("y", try builder.add("MatMul", [activated, reader]))
    var graph = builder.graph
    _ = try ShapeInference.inferAll(&graph)
    return try ZeroAnalysis(graph, pool: ThreadPool(threadCount: 1)).contractions.last?.terms.first
  }

  @Test(
    "A function that is zero by rounding alone is a constant: Gelu(-8) is -5e-15",
    arguments: [
      ("Gelu", Float(-8)), ("Gelu", -20), ("Swish", -200), ("Sigmoid", -200), ("Softplus", -200), ("Exp", -200),
    ])
  func rounded(_ op: String, _ value: Float) throws { #expect(try term(value, op) == .constant) }

  @Test(
    "must not fire: functions of zero, and negative numbers cut off, are zero",
    arguments: [("Gelu", Float(0)), ("Swish", 0), ("Relu", -3)])
  func exact(_ op: String, _ value: Float) throws { #expect(try term(value, op) == .zero) }
}
