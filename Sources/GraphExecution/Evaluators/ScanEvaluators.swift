import ModelGraph
import PollardBase
import TensorStorage

/// Running sums or products along an axis.
func evaluateCumulative(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let axis = try context.axis(context.integer(1), rank: x.rank)
  let multiplies = context.node.op.name == "CumProd"
  switch x.type {
  case .f32:
    return multiplies
      ? try scan(x, axis, Float(1), context) { $0 * $1 } : try scan(x, axis, Float(0), context) { $0 + $1 }
  case .f64:
    return multiplies
      ? try scan(x, axis, Double(1), context) { $0 * $1 } : try scan(x, axis, Double(0), context) { $0 + $1 }
  default:
    guard let element = x.type.integerElement else {
      throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)")
    }
    return try scanIntegers(x, axis, element, multiplies, context)
  }
}

private func scanIntegers<Element: IntegerElement>(
  _ x: Tensor, _ axis: Int, _ type: Element.Type, _ multiplies: Bool, _ context: EvaluationContext
) throws -> Tensor {
  multiplies
    ? try scan(x, axis, Element(1), context) { $0 &* $1 } : try scan(x, axis, Element(0), context) { $0 &+ $1 }
}

private func scan<Element: TensorElement>(
  _ x: Tensor, _ axis: Int, _ start: Element, _ context: EvaluationContext,
  _ combine: @Sendable (Element, Element) -> Element
) throws -> Tensor {
  let exclusive = context.node.integer("exclusive", default: 0) != 0
  let reverse = context.node.integer("reverse", default: 0) != 0
  let dense = x.contiguous(context.memory)
  let result = try context.memory.tensor(x.type, x.extents)
  let count = x.extents[axis]
  let inner = x.extents[(axis + 1)...].reduce(1, *)
  let outer = x.extents[..<axis].reduce(1, *)
  nonisolated(unsafe) let from = dense.pointer(Element.self)
  nonisolated(unsafe) let to = result.written(Element.self)
  forEachStep(outer, size: count * inner, context.pool) { block in
    for place in 0..<inner {
      var total = start
      for step in 0..<count {
        let index = (block * count + (reverse ? count - 1 - step : step)) * inner + place
        let next = combine(total, from[index])
        to[index] = exclusive ? total : next
        total = next
      }
    }
  }
  withExtendedLifetime(dense.buffer) {}
  return result
}
