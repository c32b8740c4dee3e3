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
    guard let rank = shapes.first?.count else { return }
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
    guard let shape = context.resultShape(), let axis = context.axis(default: 0, rank: shape.count) else { return }
    var parts: [TokenState] = []
    for slot in context.node.inputs.indices {
      guard let part = try context.state(slot) else { return }
      parts.append(part)
    }
    guard let joined = TokenState.concatenated(parts, axis: axis) else { return }
    // Where symbolic extents add up to more than one for a single token, only what all parts share is certain.
    context.set(0, joined.shape == shape ? joined : joined.joined(shape: shape))
  }
}
