import PollardBase
import TensorStorage

/// A model's computation: nodes in an order in which every operand is ready before it is used.
///
/// The words are ONNX's: operators of the newest opset, inputs, outputs, initializers. A graph is a value; a pass makes a new one.
/// Initializers are lazy, so a graph of any model is a few hundred kilobytes.
public struct Graph: Sendable {
  /// The graph's name, for people.
  public var name: String
  /// Every value, by number.
  public internal(set) var values: [Value] = []
  /// The nodes in a topological order.
  public internal(set) var nodes: [Node] = []
  /// The values the caller provides. Inputs that can be derived are listed in `derivedInputs` too.
  public internal(set) var inputs: [ValueID] = []
  /// The values the caller gets.
  public internal(set) var outputs: [ValueID] = []
  /// Values worth looking at between inputs and outputs, such as the hidden state after each layer, by name: `hidden_states.3`.
  public internal(set) var taps: [Tap] = []
  /// The branches of conditionals, outer ones before those within them.
  public internal(set) var regions: [Region] = []
  /// Inputs that the caller may leave out, with the rule that fills them.
  public internal(set) var derivedInputs: [ValueID: DerivedInput] = [:]

  /// An empty graph.
  public init(name: String) { self.name = name }

  /// A value by number.
  public subscript(_ id: ValueID) -> Value {
    get { values[id.index] }
    set { values[id.index] = newValue }
  }

  /// The number of the value with a name, or nil.
  ///
  /// - Complexity: O(n) in the number of values; build a dictionary for many look-ups.
  public func value(named name: String) -> ValueID? {
    values.firstIndex { $0.name == name }.map(ValueID.init)
  }

  /// The numbers of all initializers, ascending.
  public var initializers: [ValueID] { values.indices.filter { values[$0].initializer != nil }.map(ValueID.init) }

  /// The index of the node that provides each value.
  public var producers: [ValueID: Int] {
    var result: [ValueID: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for case let output? in node.outputs { result[output] = index }
    }
    return result
  }

  /// The uses of each value: node index and input slot.
  public var uses: [ValueID: [NodeSlot]] {
    var result: [ValueID: [NodeSlot]] = [:]
    for (index, node) in nodes.enumerated() {
      for (slot, input) in node.inputs.enumerated() {
        if let input { result[input, default: []].append(NodeSlot(node: index, slot: slot)) }
      }
    }
    return result
  }

  /// Adds a value.
  @discardableResult
  public mutating func addValue(_ value: Value) -> ValueID {
    values.append(value)
    return ValueID(values.count - 1)
  }

  /// Appends a node; its operands must be inputs, initializers or results of earlier nodes.
  public mutating func append(_ node: Node) { nodes.append(node) }

  /// Declares an existing value to be an input.
  public mutating func addInput(_ id: ValueID, derivedBy rule: DerivedInput? = nil) {
    inputs.append(id)
    if let rule { derivedInputs[id] = rule }
  }

  /// Declares an existing value to be an output.
  public mutating func addOutput(_ id: ValueID) { outputs.append(id) }

  /// Names a value in between for comparison and for `--all-layers`.
  public mutating func addTap(_ name: String, _ value: ValueID) { taps.append(Tap(name: name, value: value)) }

  /// Adds a branch and gives its number.
  public mutating func addRegion(_ region: Region) -> Int {
    regions.append(region)
    return regions.count - 1
  }

  /// Replaces the nodes, as a pass does.
  public mutating func replaceNodes(_ nodes: [Node]) { self.nodes = nodes }
}

/// A branch of a conditional, whose nodes stand in the graph's one list of nodes before the `If` that selects among results.
///
/// A conditional with n results is a node `If` with operands `[condition, then 1 … then n, else 1 … else n]` and n results. The nodes of its
/// branches are marked with their region and run only where the condition says so; they see every value before them.
public struct Region: Sendable, Hashable {
  /// The truth value that decides.
  public var condition: ValueID
  /// The truth of the condition under which the nodes run.
  public var runsWhen: Bool
  /// The region around it; nil at the top.
  public var parent: Int?

  /// Creates a branch.
  public init(condition: ValueID, runsWhen: Bool, parent: Int? = nil) {
    self.condition = condition
    self.runsWhen = runsWhen
    self.parent = parent
  }
}

/// A named value between inputs and outputs.
public struct Tap: Sendable, Hashable {
  /// The name callers see, such as `hidden_states.3`.
  public var name: String
  /// The value.
  public var value: ValueID

  /// Creates a tap.
  public init(name: String, value: ValueID) {
    self.name = name
    self.value = value
  }
}

/// An operand slot of a node.
public struct NodeSlot: Sendable, Hashable {
  /// The node's index in `Graph.nodes`.
  public var node: Int
  /// The operand's slot.
  public var slot: Int

  /// Creates a slot.
  public init(node: Int, slot: Int) {
    self.node = node
    self.slot = slot
  }
}

/// How an input is filled when the caller leaves it out; `[batch, sequence]` is the shape of `input_ids`.
public enum DerivedInput: Sendable, Hashable {
  /// Every element 0, as token types are.
  case zeros
  /// Every element 1, as an attention mask without padding is.
  case ones
  /// 0, 1, 2 … along the last axis, as positions are.
  case ascending
  /// A content of its own, as ONNX gives an input that is an initializer too.
  case content(Weight)
}
