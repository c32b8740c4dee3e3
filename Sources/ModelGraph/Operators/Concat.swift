import PollardBase

/// Joins operands along one axis.
struct Concat: Operator {
  let name = OperatorName("Concat")
  let documentation = OperatorDocumentation(
    summary: "`y` is the operands one after the other along `axis`.", shapes: "xᵢ: `[…, dᵢ, …]`; y: `[…, Σ dᵢ, …]`.",
    axes: "The joined axis is the sum of the parts; the others are themselves.", zeros: "Moved with their elements.",
    source: "ONNX Concat-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    var shapes: [[Size]] = []
    for slot in context.node.inputs.indices {
      guard let shape = context.shape(slot) else { return context.set(0, ValueType(element, nil)) }
      shapes.append(shape)
    }
    let rank = shapes[0].count
    let axis = try context.normalised(context.node.integer("axis", default: 0), rank: rank)
    var result = shapes[0]
    for shape in shapes.dropFirst() {
      guard shape.count == rank else { throw context.failure(expected: "operands of rank \(rank)", found: "\(shape)") }
      for place in 0..<rank {
        if place == axis {
          guard let sum = result[axis].adding(shape[axis]) else { return context.set(0, ValueType(element, nil)) }
          result[axis] = sum
        } else if result[place].constant == nil {
          result[place] = shape[place]
        } else if shape[place].constant != nil, shape[place] != result[place] {
          throw context.failure(expected: "\(result[place]) at axis \(place)", found: "\(shape)")
        }
      }
    }
    context.set(0, ValueType(element, result))
    if rank == 1 {
      var elements: [SymbolicElement] = []
      for slot in context.node.inputs.indices {
        guard let part = context.elements(slot) else { return }
        elements += part
      }
      context.setElements(0, elements)
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.outputRank(0) else { return }
    let wanted = context.node.integer("axis", default: 0)
    let axis = wanted < 0 ? wanted + rank : wanted
    let slots = context.node.inputs.indices
    for place in 0..<rank where place != axis {
      for slot in slots { context.unify(.input(slot, place), .output(0, place)) }
    }
    context.unify(.output(0, axis), sumOf: slots.map { .input($0, axis) })
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let shape = context.resultShape() else { return }
    let wanted = context.node.integer("axis", default: 0)
    let axis = wanted < 0 ? wanted + shape.count : wanted
    guard shape.indices.contains(axis) else { return }
    let outer = shape[..<axis].reduce(1, *)
    var states: [ElementState] = []
    var constants: [Float] = []
    var parts: [TokenState] = []
    for slot in context.node.inputs.indices {
      guard let part = try context.state(slot), part.shape.count == shape.count else { return }
      parts.append(part)
    }
    for row in 0..<outer {
      for part in parts {
        let length = part.shape[axis...].reduce(1, *)
        guard (row + 1) * length <= part.states.count else { return }
        states += part.states[row * length..<(row + 1) * length]
        constants += part.constants[row * length..<(row + 1) * length]
      }
    }
    if states.count == shape.reduce(1, *) {
      context.set(0, TokenState(shape: shape, states: states, constants: constants))
    }
  }
}
