import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Inputs and what can be wrong with them")
struct InputTests {
  private let sample = TransformerSample()

  private func executor() throws -> GraphExecutor { try GraphExecutor(sample.build().graph, threads: oneThread) }

  private func ids(_ values: [Int64], _ extents: [Int]) -> [String: Tensor] {
    ["input_ids": Tensor(integers: values, extents: extents)]
  }

  @Test("Inputs that may be left out are filled from the shape of the others")
  func derivedInputs() throws {
    let executor = try executor()
    let given = ids([1, 2, 3, 4, 5, 6], [2, 3])
    var spelled = given
    spelled["attention_mask"] = Tensor(integers: [1, 1, 1, 1, 1, 1], extents: [2, 3])
    spelled["position_ids"] = Tensor(integers: [0, 1, 2, 0, 1, 2], extents: [2, 3])
    let a = try executor.run(inputs: given)["last_hidden_state"]
    #expect(try sameBits(a, executor.run(inputs: spelled)["last_hidden_state"]))
  }

  @Test("Narrow integers are taken for wide ones")
  func narrowIntegers() throws {
    let narrow = ["input_ids": Tensor(narrowIntegers: [3, 4], extents: [1, 2])]
    let executor = try executor()
    #expect(
      try sameBits(
        executor.run(inputs: narrow)["last_hidden_state"],
        executor.run(inputs: ids([3, 4], [1, 2]))["last_hidden_state"]))
  }

  @Test("A missing input is named")
  func missing() throws {
    let error = graphError { _ = try executor().run(inputs: [:]) }
    #expect(error?.code == .missingInput)
    #expect(error?.subject == .value("input_ids"))
  }

  @Test("An unknown input is named, with those that are known")
  func unknown() throws {
    var inputs = ids([1], [1, 1])
    inputs["pixels"] = Tensor(floats: [1], extents: [1])
    let error = graphError { _ = try executor().run(inputs: inputs) }
    #expect(error?.code == .unknownInput)
    #expect(error?.subject == .value("pixels"))
    #expect(error?.expected?.contains("input_ids") == true)
  }

  @Test("An input of another element type is refused")
  func wrongType() throws {
    let error = graphError {
      _ = try executor().run(inputs: ["input_ids": Tensor(floats: [1], extents: [1, 1])])
    }
    #expect(error?.code == .typeMismatch)
    #expect(error?.subject == .value("input_ids"))
  }

  @Test("An input of another rank is refused")
  func wrongRank() throws {
    let error = graphError { _ = try executor().run(inputs: ids([1, 2], [2])) }
    #expect(error?.code == .shapeMismatch)
    #expect(error?.subject == .value("input_ids"))
  }

  @Test("Two inputs that disagree about a size are refused")
  func disagreement() throws {
    var inputs = ids([1, 2], [1, 2])
    inputs["attention_mask"] = Tensor(integers: [1, 1, 1], extents: [1, 3])
    let error = graphError { _ = try executor().run(inputs: inputs) }
    #expect(error?.code == .shapeMismatch)
    #expect(error?.description.contains("sequence") == true)
  }

  @Test("A token number outside of the vocabulary is refused by name", arguments: [50, -51, Int64.max, Int64.min])
  func outOfRange(token: Int64) throws {
    let error = graphError { _ = try executor().run(inputs: ids([1, token], [1, 2])) }
    #expect(error?.code == .indexOutOfRange)
    #expect(error?.subject == .value("input_ids"))
  }

  @Test("A token number that counts from the end is taken")
  func negative() throws {
    let executor = try executor()
    #expect(
      try sameBits(
        executor.run(inputs: ids([-1], [1, 1]))["last_hidden_state"],
        executor.run(inputs: ids([49], [1, 1]))["last_hidden_state"]))
  }

  @Test("An operator that cannot be evaluated is refused by name when the graph is planned")
  func unsupported() throws {
    var builder = GraphBuilder(name: "odd")
    let x = builder.input("x", ValueType(.f32, [2]))
    builder.output("y", try builder.add("Flub", [x]))
    let graph = builder.graph
    let error = graphError { _ = try GraphExecutor(graph, threads: oneThread) }
    #expect(error?.code == .unsupported)
    #expect(error?.found == "Flub")
  }

  @Test("A value that the graph does not have is refused by name")
  func unknownValue() throws {
    let error = graphError { _ = try executor().run(inputs: ids([1], [1, 1]), collecting: ["hidden_states.9"]) }
    #expect(error?.code == .unknownValue)
  }

  @Test("Taps and values are found by name")
  func taps() throws {
    let found = try executor().run(
      inputs: ids([1, 2], [1, 2]), collecting: ["hidden_states.1", "hidden_states.2", "input_ids", "words"])
    #expect(found["hidden_states.1"]?.extents == [1, 2, 24])
    #expect(sameBits(found["hidden_states.2"], found["last_hidden_state"]))
    #expect(found["input_ids"]?.integers() == [1, 2])
    #expect(found["words"]?.extents == [50, 24])
  }

  @Test("Sequences and batches may be empty", arguments: [[0, 3], [2, 0]])
  func empty(extents: [Int]) throws {
    let found = try executor().run(inputs: ids([], extents))["last_hidden_state"]
    #expect(found?.extents == extents + [24])
  }

  @Test("Division of integers by zero is refused")
  func divisionByZero() throws {
    var builder = GraphBuilder(name: "division")
    let x = builder.input("x", ValueType(.i64, [2]))
    builder.output("y", try builder.add("Div", [x, builder.integerScalar(0)]))
    let executor = try GraphExecutor(builder.graph, threads: oneThread)
    let error = graphError { _ = try executor.run(inputs: ["x": Tensor(integers: [1, 2], extents: [2])]) }
    #expect(error?.code == .divisionByZero)
  }

  @Test("A range that no memory holds is refused")
  func hugeRange() throws {
    var builder = GraphBuilder(name: "range")
    let limit = builder.input("limit", ValueType(.i64, []))
    builder.output("y", try builder.add("Range", [builder.integerScalar(0), limit, builder.integerScalar(1)]))
    let executor = try GraphExecutor(builder.graph, threads: oneThread)
    for huge in [Int64.max, 1 << 40] {
      let error = graphError { _ = try executor.run(inputs: ["limit": Tensor(integers: [huge], extents: [])]) }
      #expect(error?.code == .tooLarge)
    }
  }
}
