import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Results that take the memory of an operand")
struct InPlaceTests {
  private let values: [Float] = [1, -2, 3, -4, 5, -6]

  /// Runs a graph of one input `x[2, 3]`, built by a function that gives the outputs.
  private func run(
    _ build: (inout GraphBuilder, ValueID) throws -> [ValueID]
  ) throws -> (results: [[Float]?], input: [Float]) {
    var builder = GraphBuilder(name: "in place")
    let x = builder.input("x", ValueType(.f32, [2, 3]))
    let outputs = try build(&builder, x)
    for (slot, output) in outputs.enumerated() { builder.output("y\(slot)", output) }
    let executor = try GraphExecutor(builder.graph, threads: twoThreads)
    let given = Tensor(floats: values, extents: [2, 3])
    let found = try executor.run(inputs: ["x": given])
    return (outputs.indices.map { found["y\($0)"]?.floats() }, given.floats())
  }

  @Test("the caller's tensor is never written over")
  func input() throws {
    let (results, input) = try run { builder, x in [try builder.add("Neg", [try builder.add("Relu", [x])])] }
    #expect(results == [[-1, -0, -3, -0, -5, -0]])
    #expect(input == values)
  }

  @Test("a chain gives what its steps give")
  func chain() throws {
    let (results, _) = try run { builder, x in
      let row = builder.initializer("row", .floats([10, 20, 30], shape: [3]))
      let a = try builder.add("Add", [try builder.add("Abs", [x]), row])
      let b = try builder.add("Sub", [row, a])
      return [try builder.add("Mul", [b, try builder.add("Neg", [x])])]
    }
    // row - (|x| + row) = -|x|, times -x.
    #expect(results == [[1, -4, 9, -16, 25, -36]])
  }

  @Test("an operand that is read again, or twice, or looked at by a view stays as it is")
  func shared() throws {
    let (results, _) = try run { builder, x in
      let a = try builder.add("Abs", [x])
      let turned = try builder.add("Transpose", [a], ["perm": .integers([1, 0])])
      let negative = try builder.add("Neg", [a])
      let square = try builder.add("Abs", [x])
      return [negative, turned, try builder.add("Mul", [square, square])]
    }
    #expect(results == [[-1, -2, -3, -4, -5, -6], [1, 4, 2, 5, 3, 6], [1, 4, 9, 16, 25, 36]])
  }

  @Test("an operand that broadcasts is not where the result goes")
  func broadcast() throws {
    let (results, _) = try run { builder, x in
      let sums = try builder.add(
        "ReduceSum", [x, builder.initializer("axes", .integers([1], shape: [1]))], ["keepdims": .integer(1)])
      let a = try builder.add("Abs", [x])
      return [try builder.add("Add", [try builder.add("Neg", [sums]), a])]
    }
    // Sums are 2 and -5.
    #expect(results == [[-1, 0, 1, 9, 10, 11]])
  }

  @Test("a value that is collected keeps its elements")
  func collected() throws {
    var builder = GraphBuilder(name: "collected")
    let x = builder.input("x", ValueType(.f32, [2, 3]))
    let a = try builder.add("Abs", [x])
    builder.output("y", try builder.add("Neg", [a]))
    let executor = try GraphExecutor(builder.graph, threads: oneThread)
    let inputs = ["x": Tensor(floats: values, extents: [2, 3])]
    let kept = try executor.run(inputs: inputs, collectingValues: [a]).values[a]
    #expect(kept?.floats() == [1, 2, 3, 4, 5, 6])
  }
}
