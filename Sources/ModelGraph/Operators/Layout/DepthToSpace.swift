import PollardBase
import TensorStorage

/// Moves blocks of channels to places, or places to channels.
struct DepthToSpace: Operator {
  let name: OperatorName
  let isInverse: Bool

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: isInverse
        ? "Each block of `blocksize` × `blocksize` places becomes channels."
        : "Channels become blocks of `blocksize` × `blocksize` places (`mode` DCR or CRD).",
      shapes: isInverse
        ? "x: `[B, C, H·b, W·b]`; y: `[B, b·b·C, H, W]`." : "x: `[B, b·b·C, H, W]`; y: `[B, C, H·b, W·b]`.",
      axes: "C passes as a factor; b is pinned.", zeros: "Zero only where everything is.",
      source: "ONNX \(name)-13")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    let block = Size(context.node.integer("blocksize", default: 0))
    guard let shape = type.shape else { return context.set(0, type) }
    guard shape.count == 4, block.isPositive, let square = block.multiplied(by: block) else {
      throw context.failure(expected: "an operand of rank 4 and a block size", found: "\(shape)")
    }
    func divided(_ size: Size, _ divisor: Size) throws(GraphError) -> Size {
      if let result = size.dividedExactly(by: divisor) { return result }
      if size.constant != nil { throw context.failure(expected: "an extent that \(divisor) divides", found: "\(size)") }
      return context.freshSize(size, divisor)
    }
    var result: [Size?] = [shape[0]]
    if isInverse {
      result += [shape[1].multiplied(by: square), try divided(shape[2], block), try divided(shape[3], block)]
    } else {
      result += [try divided(shape[1], square), shape[2].multiplied(by: block), shape[3].multiplied(by: block)]
    }
    let known = result.compactMap { $0 }
    context.set(0, ValueType(type.element, known.count == 4 ? known : nil))
  }

  func relate(_ context: inout AxisContext) {
    let block = Size(context.node.integer("blocksize", default: 0))
    guard context.rank(0) == 4, context.outputRank(0) == 4, block.isPositive else { return }
    let rows = context.factor(block)
    let columns = context.factor(block)
    for term in [rows, columns] { context.pin(term: term, .undescribed) }
    context.unify(.input(0, 0), .output(0, 0))
    if isInverse {
      context.unify([.output(0, 1)], [rows, columns, .input(0, 1)])
      context.unify([.input(0, 2)], [.output(0, 2), rows])
      context.unify([.input(0, 3)], [.output(0, 3), columns])
    } else {
      let isChannelFirst = context.node.string("mode") == "CRD"
      context.unify(
        [.input(0, 1)], isChannelFirst ? [.output(0, 1), rows, columns] : [rows, columns, .output(0, 1)])
      context.unify([.output(0, 2)], [.input(0, 2), rows])
      context.unify([.output(0, 3)], [.input(0, 3), columns])
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let x = try context.state(0), let shape = context.resultShape() { context.set(0, x.joined(shape: shape)) }
  }

  static let all = [
    DepthToSpace(name: OperatorName("DepthToSpace"), isInverse: false),
    DepthToSpace(name: OperatorName("SpaceToDepth"), isInverse: true),
  ]
}
