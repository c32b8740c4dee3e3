import PollardBase
import TensorStorage

extension Graph {
  /// The same graph with derived inputs computed inside, for formats in which every input must be given.
  ///
  ///     input  position_ids (default: ascending)      p₁ = Shape(input_ids, start: 1, end: 2)
  ///                                              →    position_ids = Expand(Range(0, Squeeze(p₁, [0]), 1), Shape(input_ids))
  ///     input  token_type_ids (default: zeros)   →    token_type_ids = Expand(0, Shape(input_ids))
  ///
  /// Ones are expanded as zeros are. An input with a content of its own becomes an initializer.
  ///
  /// - Parameter kept: names of inputs that stay inputs; they become ordinary ones.
  /// - Throws: `unsupported` when no input `[batch, sequence]` of integers is left to take the sizes from.
  public func computingDerivedInputs(keeping kept: Set<String>) throws(GraphError) -> Graph {
    var result = self
    var computed: [Node] = []
    let sources = inputs.filter {
      derivedInputs[$0] == nil && self[$0].type?.element == .i64 && self[$0].type?.shape?.count == 2
    }
    var names = Set(values.map(\.name))
    var inference = ShapeInference()

    func fresh(_ wish: String) -> String {
      var name = wish
      var count = 1
      while !names.insert(name).inserted {
        name = "\(wish)_\(count)"
        count += 1
      }
      return name
    }
    func constant(_ name: String, _ weight: Weight) -> ValueID {
      result.addValue(
        Value(
          name: fresh(name), type: ValueType(weight.type, weight.shape.extents.map { Size($0) }), initializer: weight))
    }
    func add(
      _ op: String, _ prefix: String, _ inputs: [ValueID], _ attributes: [String: Attribute] = [:],
      to output: ValueID? = nil
    ) throws(GraphError) -> ValueID {
      let name = fresh("\(prefix)/\(op)")
      let id = output ?? result.addValue(Value(name: name))
      let node = Node(
        OperatorName(op), name: name, inputs: inputs, outputs: [id], attributes: attributes, scope: prefix)
      try inference.infer(node, in: &result)
      computed.append(node)
      return id
    }

    for input in inputs {
      guard let rule = derivedInputs[input] else { continue }
      result.derivedInputs[input] = nil
      let name = self[input].name
      if kept.contains(name) { continue }
      result.inputs.removeAll { $0 == input }
      if case .content(let weight) = rule {
        result[input].initializer = weight
        continue
      }
      guard let source = sources.first(where: { self[$0].type?.shape == self[input].type?.shape }) ?? sources.first
      else {
        throw GraphError(
          .unsupported, subject: .value(name), expected: "an input of integers [batch, sequence] beside it",
          found: "none")
      }
      let scope = name
      let extents = try add("Shape", scope, [source])
      let content: ValueID
      switch rule {
      case .ascending:
        let extent = try add("Shape", scope, [source], ["start": .integer(1), "end": .integer(2)])
        let count = try add("Squeeze", scope, [extent, constant("\(scope)/axis", .integers([0], shape: [1]))])
        content = try add(
          "Range", scope,
          [
            constant("\(scope)/first", .integers([0], shape: [])), count,
            constant("\(scope)/step", .integers([1], shape: [])),
          ])
      case .ones: content = constant("\(scope)/one", .integers([1], shape: []))
      case .zeros, .content: content = constant("\(scope)/zero", .integers([0], shape: []))
      }
      _ = try add("Expand", scope, [content, extents], to: input)
    }
    result.nodes = computed + nodes
    return result
  }
}
