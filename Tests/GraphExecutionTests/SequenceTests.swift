import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Sequences and optional values")
struct SequenceTests {
  /// One node whose operands are the graph's inputs.
  private func run(_ op: String, _ values: [Tensor], _ attributes: [String: Attribute] = [:]) throws -> Tensor? {
    var graph = Graph(name: op)
    let inputs = values.indices.map { graph.addValue(Value(name: "x\($0)")) }
    for id in inputs { graph.addInput(id) }
    let output = graph.addValue(Value(name: "y"))
    graph.append(Node(OperatorName(op), name: "node", inputs: inputs, outputs: [output], attributes: attributes))
    graph.addOutput(output)
    let given = Dictionary(uniqueKeysWithValues: values.enumerated().map { ("x\($0)", $1) })
    return try GraphExecutor(graph, threads: oneThread).run(inputs: given)["y"]
  }

  private func row(_ numbers: Int64...) -> Tensor { Tensor(integers: numbers, extents: [numbers.count]) }
  private func number(_ value: Int64) -> Tensor { Tensor(integers: [value], extents: []) }
  private var pair: Tensor { Tensor(sequence: [row(1, 2), row(3)]) }

  @Test("Places count from the front or from the end", arguments: [(0, 1), (1, 3), (-1, 3), (-2, 1)])
  func at(place: Int64, first: Int64) throws {
    #expect(try run("SequenceAt", [pair, number(place)])?.integers().first == first)
  }

  @Test("A place outside of a sequence is refused", arguments: ["SequenceAt", "SequenceErase"])
  func outside(op: String) throws {
    for place in [2, -3, .max, .min] {
      #expect(graphError { _ = try run(op, [pair, number(Int64(place))]) }?.code == .indexOutOfRange, "\(place)")
    }
    for place in [3, -3] {
      #expect(
        graphError { _ = try run("SequenceInsert", [pair, row(9), number(Int64(place))]) }?.code == .indexOutOfRange)
    }
    #expect(graphError { _ = try run("SequenceErase", [Tensor(sequence: [])]) }?.code == .indexOutOfRange)
  }

  @Test("An inserted tensor stands before the place, or behind the last")
  func insert() throws {
    func firsts(_ values: [Tensor]) throws -> [Int64]? {
      try run("SequenceInsert", values)?.sequence?.compactMap { $0.integers().first }
    }
    #expect(try firsts([pair, row(9)]) == [1, 3, 9])
    #expect(try firsts([pair, row(9), number(2)]) == [1, 3, 9])
    #expect(try firsts([pair, row(9), number(-1)]) == [1, 9, 3])
    #expect(pair.sequence?.count == 2)
  }

  @Test("Operators of tensors refuse a sequence and an absent value, and those of sequences a tensor")
  func kinds() throws {
    for op in ["Neg", "Shape", "Reshape", "Concat", "Add"] {
      for value in [pair, Tensor.absent] {
        #expect(graphError { _ = try run(op, [value, row(1)]) }?.code == .typeMismatch, "\(op)")
      }
    }
    #expect(graphError { _ = try run("SequenceLength", [row(1)]) }?.code == .typeMismatch)
    #expect(graphError { _ = try run("SequenceLength", [.absent]) }?.code == .typeMismatch)
    #expect(graphError { _ = try run("OptionalGetElement", [.absent]) }?.code == .typeMismatch)
    #expect(graphError { _ = try run("SequenceConstruct", [pair]) }?.code == .typeMismatch)
  }

  @Test("Parts that do not make up the axis are refused", arguments: [[1, 1], [2, 2], [4, -1], [Int64.max, 3]])
  func wrongParts(parts: [Int64]) throws {
    let split = Tensor(integers: parts, extents: [parts.count])
    #expect(graphError { _ = try run("SplitToSequence", [row(1, 2, 3), split]) }?.code == .shapeMismatch)
  }

  @Test("Sequences are compared by the shapes and the numbers of their tensors")
  func comparable() {
    let same = Tensor(sequence: [row(1, 2), row(3)])
    #expect(same.comparable.floats() == pair.comparable.floats())
    #expect(Tensor(sequence: [row(1), row(2, 3)]).comparable.floats() != pair.comparable.floats())
    #expect(Tensor.absent.comparable.elementCount == 0)
    #expect(Tensor(sequence: []).comparable.elementCount == 1)
    #expect(pair.parts(named: "y").map(\.name) == ["y.0", "y.1"])
  }
}
