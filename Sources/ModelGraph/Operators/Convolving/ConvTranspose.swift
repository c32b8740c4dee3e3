import PollardBase

/// Transposed convolution of channels over axes of places.
struct ConvTranspose: Operator {
  let name = OperatorName("ConvTranspose")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "The transposed map of a convolution, plus `bias[m]`.",
    shapes: "x: `[B, C, places…]`; w: `[C, M / group, kernel…]`; bias: `[M]`; y: `[B, M, places…]`.",
    axes: "The batch passes; everything else is pinned.", zeros: "Unknown.", source: "ONNX ConvTranspose-22")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let x = context.shape(0), let w = context.shape(1), x.count >= 2, w.count == x.count,
      let filters = w[1].multiplied(by: Size(context.node.integer("group", default: 1)))
    else { return context.set(0, ValueType(element, nil)) }
    var result = [x[0], filters]
    let kernel = w[2...].compactMap(\.constant)
    let window = Window(context.node, kernel: kernel.count == w.count - 2 ? kernel : nil)
    let given = context.node.integers("output_shape")
    let extra = context.node.integers("output_padding") ?? Array(repeating: 0, count: x.count - 2)
    for axis in 2..<x.count {
      let place = axis - 2
      if let given, given.count >= x.count - 2, given.allSatisfy({ $0 >= 0 }) {
        result.append(Size(given[given.count - (x.count - 2) + place]))
      } else if let window, window.kernel.count == x.count - 2, extra.count == x.count - 2, extra.allSatisfy({ (0..<1 << 30).contains($0) }),
        window.autoPad == "NOTSET",
        let steps = x[axis].subtracting(1)?.multiplied(by: Size(window.strides[place])),
        let size = steps.adding(
          Size(
            extra[place] + (window.kernel[place] - 1) * window.dilations[place] + 1 - window.pads[place].before
              - window.pads[place].after))
      {
        result.append(size)
      } else {
        result.append(context.dataDependentSize(".\(axis)"))
      }
    }
    context.set(0, ValueType(element, result))
  }

  func relate(_ context: inout AxisContext) {
    if context.rank(0) != nil, context.outputRank(0) != nil { context.unify(.input(0, 0), .output(0, 0)) }
  }
}
