import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// A named value of an ONNX file, and what provides it there.
struct ONNXFileValue: Sendable {
  /// What provides a value; numbers count the nodes or initializers of the value's graph.
  enum Provider: Sendable {
    /// An input of the model.
    case input
    /// An initializer.
    case initializer(Int)
    /// A `Constant` node.
    case constant(Int)
    /// A node whose operands are all constants, among the file's values, and whose result is formed while reading.
    case folded(Int, operands: [Int])
    /// A node of the graph, or a constant without a weight that stands in the graph as a node.
    case node
  }

  /// The name, byte for byte.
  let name: ByteString
  /// The graph that defines it, as an index into `ImportedONNXModel.containers`.
  let container: Int
  /// What provides it.
  let provider: Provider
  /// The content of a constant.
  let weight: Weight?
  /// Its number in the imported graph; nil for constants that only other constants are made of.
  var id: ValueID?

  /// The file's values that this one is made of, when it is a folded constant.
  var operands: [Int] {
    if case .folded(_, let operands) = provider { operands } else { [] }
  }
}

/// A graph message of the file: the model's own, or a branch of a conditional.
struct ONNXContainer: Sendable {
  /// What became of a node message.
  enum NodeRole: Sendable {
    /// A constant, by its number among the file's values.
    case constant(Int)
    /// A node of the graph, by its number among the sources.
    case computed(Int)
  }

  /// The message.
  let graph: ONNXGraph
  /// The region of the graph that holds its nodes.
  let region: Int?
  /// What became of each node message.
  var roles: [NodeRole] = []
  /// The file's value of each initializer; nil for the default content of an input.
  var initializers: [Int?] = []
  /// The file's value of each result, in order.
  var outputs: [Int] = []
  /// The branches of each conditional node: the attribute's name and the container.
  var branches: [Int: [(attribute: ByteString, container: Int)]] = [:]
}

/// What a node of the graph was read from.
struct ONNXSource: Sendable {
  /// The kind of message.
  enum Kind: Sendable, Hashable {
    /// A node.
    case node(Int)
    /// An initializer without a weight, such as one of strings.
    case initializer(Int)
    /// A sparse initializer.
    case sparseInitializer(Int)
  }

  /// The graph that holds the message.
  let container: Int
  /// The message.
  let kind: Kind
  /// How many operands the message names itself; the graph's node lists values that its subgraphs use after them.
  let ownOperandCount: Int
}
