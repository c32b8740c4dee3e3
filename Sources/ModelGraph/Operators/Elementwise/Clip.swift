import PollardBase

/// Holds each element between two bounds, which are attributes below version 11 and operands from then on.
struct Clip: Operator {
  let name = OperatorName("Clip")
  let documentation = OperatorDocumentation(
    summary: "`y = min(max(x, lowest), highest)`, element by element.",
    shapes: "x, y: `[…]`, equal; lowest, highest: scalars, optional (attributes `min`, `max` below version 11).",
    axes: "Every axis is itself.",
    zeros: "The bound result of zero or of the constant, where the bounds are constants.",
    source: "ONNX Clip-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
    guard let elements = context.elements(0) else { return }
    let lowest = context.node.input(1) == nil ? nil : context.elements(1)?.first
    let highest = context.node.input(2) == nil ? nil : context.elements(2)?.first
    guard (context.node.input(1) == nil) == (lowest == nil), (context.node.input(2) == nil) == (highest == nil),
      context.node.version >= 11
    else { return }
    let origins = (lowest?.origins ?? []).union(highest?.origins ?? [])
    context.setElements(
      0,
      elements.map { element in
        var size = element.size
        if let lowest {
          // Only a bound that certainly does not matter, or known numbers, are followed.
          size = size.flatMap { value in lowest.size.flatMap { Self.bounded(value, $0, below: true) } }
        }
        if let highest {
          size = size.flatMap { value in highest.size.flatMap { Self.bounded(value, $0, below: false) } }
        }
        return SymbolicElement(size, origins: element.origins.union(origins))
      })
  }

  private static func bounded(_ value: Size, _ bound: Size, below: Bool) -> Size? {
    guard let difference = value.subtracting(bound) else { return nil }
    if let lowest = difference.lowerBound, lowest >= 0 { return below ? value : bound }
    if let highest = difference.upperBound, highest <= 0 { return below ? bound : value }
    return nil
  }

  func relate(_ context: inout AxisContext) { context.pass(0) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    let lowest = try bound(1, "min", context)
    let highest = try bound(2, "max", context)
    if let lowest, let highest {
      context.set(0, x.mapped(isExact: true) { min(max($0, lowest), highest) })
    } else {
      context.set(0, x.worst == .poisoned ? x.joined(shape: x.shape) : TokenState(shape: x.shape, all: .unknown))
    }
  }

  /// A bound as a number; nil when it is computed.
  private func bound(_ slot: Int, _ attribute: String, _ context: ZeroContext) throws(FormatError) -> Double? {
    let open: Double = slot == 1 ? -.infinity : .infinity
    guard context.node.input(slot) != nil else { return context.node.float(attribute).map { Double($0) } ?? open }
    guard let state = try context.state(slot), let first = state.packed.first else { return nil }
    if first == .poisoned { return nil }
    return first == .zero ? 0 : first == .constant ? state.packedConstants[0] : nil
  }
}
