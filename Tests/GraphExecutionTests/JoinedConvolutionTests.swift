import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// What convolutions are joined with, against the same nodes one after the other.
@Suite("Joined convolutions")
struct JoinedConvolutionTests {
  private struct Network {
    var graph = Graph(name: "block")
    var numbers: RandomNumbers

    init(seed: UInt64) { numbers = RandomNumbers(seed: seed) }

    mutating func input(_ extents: [Int]) -> ValueID {
      let id = graph.addValue(Value(name: "x", type: ValueType(.f32, extents.map { Size($0) })))
      graph.addInput(id)
      return id
    }

    mutating func constant(_ name: String, _ extents: [Int]) -> ValueID {
      let values = numbers.floats(extents.reduce(1, *))
      return graph.addValue(
        Value(
          name: name, type: ValueType(.f32, extents.map { Size($0) }),
          initializer: .floats(values, shape: Shape(extents))))
    }

    mutating func node(_ op: String, _ name: String, _ inputs: [ValueID], _ attributes: [String: Attribute] = [:])
      -> ValueID
    {
      let output = graph.addValue(Value(name: name))
      graph.append(Node(OperatorName(op), name: name, inputs: inputs, outputs: [output], attributes: attributes))
      return output
    }

    mutating func convolution(_ x: ValueID, _ name: String, _ filters: [Int], stride: Int = 1, groups: Int = 1)
      -> ValueID
    {
      let pad = filters[2] / 2
      let (weights, bias) = (constant("\(name).weight", filters), constant("\(name).bias", [filters[0]]))
      return node(
        "Conv", name, [x, weights, bias],
        [
          "pads": .integers([pad, pad, pad, pad]), "strides": .integers([stride, stride]), "group": .integer(groups),
        ])
    }
  }

  /// The output, and the same when every value between is asked for, which keeps nodes apart.
  private func bothWays(_ network: Network, _ extents: [Int]) throws -> (joined: Tensor?, apart: Tensor?) {
    var numbers = RandomNumbers(seed: 7)
    let given = ["x": Tensor(floats: numbers.floats(extents.reduce(1, *)), extents: extents)]
    let executor = try GraphExecutor(network.graph, threads: twoThreads)
    let names = Set(network.graph.nodes.map(\.name))
    return (try executor.run(inputs: given)["y"], try executor.run(inputs: given, collecting: names)["y"])
  }

  @Test("A residual block, whichever convolution comes last, gives the same bits", arguments: [false, true])
  func residual(shortcutFirst: Bool) throws {
    var network = Network(seed: 3)
    let x = network.input([2, 6, 9, 11])
    var shortcut = x
    if shortcutFirst { shortcut = network.convolution(x, "shortcut", [40, 6, 1, 1], stride: 2) }
    let inner = network.node("Relu", "relu", [network.convolution(x, "first", [8, 6, 3, 3], stride: 2)])
    let main = network.convolution(inner, "second", [40, 8, 3, 3])
    if !shortcutFirst { shortcut = network.convolution(x, "shortcut", [40, 6, 1, 1], stride: 2) }
    let sum = network.node("Add", "sum", shortcutFirst ? [main, shortcut] : [shortcut, main])
    network.graph.addOutput(network.node("Relu", "y", [sum]))
    let found = try bothWays(network, [2, 6, 9, 11])
    #expect(found.joined?.extents == [2, 40, 5, 6])
    #expect(sameBits(found.joined, found.apart))
  }

  @Test("An addend that broadcasts, a convolution added to itself, and one of groups give the same bits")
  func others() throws {
    var network = Network(seed: 5)
    let x = network.input([1, 6, 7, 7])
    let first = network.convolution(x, "first", [6, 1, 3, 3], groups: 6)
    let doubled = network.node("Add", "doubled", [first, first])
    let second = network.convolution(network.node("Sigmoid", "sigmoid", [doubled]), "second", [12, 3, 3, 3], groups: 2)
    let shifted = network.node("Add", "shifted", [second, network.constant("shift", [12, 1, 1])])
    network.graph.addOutput(network.node("Tanh", "y", [shifted]))
    let found = try bothWays(network, [1, 6, 7, 7])
    #expect(found.joined?.extents == [1, 12, 7, 7])
    #expect(sameBits(found.joined, found.apart))
  }
}
