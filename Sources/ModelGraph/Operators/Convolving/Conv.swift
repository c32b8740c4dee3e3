import PollardBase
import TensorStorage

/// Convolution of channels over one or more axes of places; ONNX Runtime's fused form adds a fourth operand and ends with an activation.
///
/// Group convolutions with one input channel per group work on each channel alone; other groups keep their channels.
struct Conv: Operator {
  let name: OperatorName
  let isFused: Bool
  let requiredInputs = 2

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y[b, m, p] = Σ_c,q x[b, c, p·stride + q·dilation] · w[m, c, q] + bias[m]`"
        + (isFused ? ", plus z, then an activation." : "."),
      shapes: "x: `[B, C, places…]`; w: `[M, C / group, kernel…]`; bias: `[M]`; y: `[B, M, places…]`.",
      axes:
        "One group: C is contracted, M passes. One channel per group: M = C × multiplier. Else channels are pinned. Places and kernel are pinned.",
      zeros: "Zero where every term of a channel has a zero factor and the bias is zero.",
      source: isFused ? "ONNX Runtime, com.microsoft.FusedConv-1" : "ONNX Conv-22", family: "Convolution")
  }

  static let all = [
    Conv(name: OperatorName("Conv"), isFused: false),
    Conv(name: OperatorName("FusedConv", domain: "com.microsoft"), isFused: true),
  ]

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let x = context.shape(0), let w = context.shape(1) else { return context.set(0, ValueType(element, nil)) }
    guard x.count >= 2, x.count == w.count else {
      throw context.failure(expected: "operands of one rank of 2 or more", found: "\(x) and \(w)")
    }
    let group = context.node.integer("group", default: 1)
    if let channels = x[1].constant, let perGroup = w[1].constant,
      perGroup.multipliedReportingOverflow(by: group) != (channels, false)
    {
      throw context.failure(expected: "\(channels) channels", found: "\(perGroup) in each of \(group) groups")
    }
    if let filters = w[0].constant, group < 1 || filters % group != 0 {
      throw context.failure(expected: "filters in equal groups", found: "\(filters) in \(group)")
    }
    let kernel = w[2...].compactMap(\.constant)
    var result = [x[0], w[0]]
    guard let window = Window(context.node, kernel: kernel.count == w.count - 2 ? kernel : nil),
      window.kernel.count == x.count - 2
    else {
      return context.set(0, ValueType(element, result + (2..<x.count).map { context.dataDependentSize(".\($0)") }))
    }
    for axis in 2..<x.count { result.append(window.extent(axis - 2, of: x[axis], context)) }
    context.set(0, ValueType(element, result))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank >= 2, context.rank(1) == rank, context.outputRank(0) == rank else { return }
    context.unify(.input(0, 0), .output(0, 0))
    for axis in 2..<max(rank, 2) {
      context.pin(.input(0, axis), .reduced)
      context.pin(.input(1, axis), .reduced)
      context.pin(.output(0, axis), .reduced)
    }
    let group = context.node.integer("group", default: 1)
    if group == 1 {
      context.contract(.input(0, 1), .input(1, 1))
      context.unify(.input(1, 0), .output(0, 1))
    } else if context.size(.input(0, 1)) == Size(group), let filters = context.size(.input(1, 0)),
      let multiplier = filters.dividedExactly(by: Size(group))
    {
      let several = context.factor(multiplier)
      context.unify([.input(1, 0)], [.input(0, 1), several])
      context.unify(.input(1, 0), .output(0, 1))
      context.unify([.input(1, 1)], [])
    } else {
      for place in [AxisPlace.input(0, 1), .input(1, 0), .input(1, 1), .output(0, 1)] { context.pin(place, .reduced) }
    }
    if context.rank(2) == 1 { context.unify(.input(2, 0), .output(0, 1)) }
    if isFused, context.rank(3) == rank {
      for axis in 0..<rank { context.unify(.input(3, axis), .output(0, axis)) }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let weight = context.weight(1), weight.shape.rank >= 2, weight.type.canBeCast(to: .f32), context.readsWeights,
      let x = try context.state(0), x.shape.count == weight.shape.rank, let shape = context.resultShape(),
      shape.count == x.shape.count, weight.shape.elementCount > 0
    else { return }
    let group = context.node.integer("group", default: 1)
    let channels = x.joining(
      Set(x.shape.indices.filter { $0 != 1 }), shape: x.shape.indices.map { $0 == 1 ? x.shape[1] : 1 }
    ).holding([1])
    guard channels.packed.count == x.shape[1] else { return }
    var filters: [ElementState]
    if group == 1, weight.shape[1] == x.shape[1] {
      filters = try whole(channels.packed, weight, &context)
    } else if group == x.shape[1], weight.shape[1] == 1, weight.shape[0] % group == 0 {
      filters = try depthwise(channels.packed, weight, context)
    } else {
      return
    }
    if context.node.input(2) != nil {
      guard let bias = try context.state(2), bias.shape == [filters.count] else { return }
      for (index, state) in bias.states.enumerated() {
        // With padding even a constant is constant only where nothing else is added, which is everywhere once all terms are zero.
        filters[index] = max(filters[index], state)
        if filters[index] == .constant { filters[index] = .unknown }
      }
    }
    if isFused {
      if context.node.input(3) != nil { filters = filters.map { max($0, .unknown) } }
      let keepsZero = ["Relu", "LeakyRelu", "Tanh"].contains(context.node.string("activation") ?? "")
      if !keepsZero { filters = filters.map { max($0, .unknown) } }
    }
    guard shape[1] == filters.count, !filters.isEmpty else { return }
    context.set(
      0,
      TokenState(
        shape: shape, held: shape.indices.map { $0 == 1 ? shape[1] : 1 }, packed: filters,
        constants: Array(repeating: 0, count: filters.count)))
  }

  /// One group: every filter sees every channel. The terms of the contraction are the channels.
  private func whole(
    _ channels: [ElementState], _ weight: Weight, _ context: inout ZeroContext
  ) throws(FormatError) -> [ElementState] {
    let kernel = weight.shape.extents[2...].reduce(1, *)
    let matrix = weight.reshaped([weight.shape[0], channels.count * kernel]).transposed()
    let active = channels.flatMap { Array(repeating: $0 != .zero, count: kernel) }
    let structure = try matrix.nonzeroStructure(activeRows: active, pool: context.pool)
    var terms: [ElementState] = []
    var consumerZero: [Bool] = []
    for (channel, state) in channels.enumerated() {
      let rows = channel * kernel..<(channel + 1) * kernel
      let isFinite = !structure.rowNonfinite[rows].contains(true)
      let isZero = !structure.rowNonzero[rows].contains(true)
      consumerZero.append(isFinite && isZero)
      // A constant channel is not constant behind padding: it counts as unknown.
      let own = state == .constant ? ElementState.unknown : state
      terms.append(own == .poisoned || !isFinite ? .poisoned : own == .zero || isZero ? .zero : own)
    }
    context.record(
      ContractionTerms(
        node: context.index, activationSlot: 0, terms: terms, consumerZero: consumerZero,
        producerZero: channels.map { $0 == .zero }, activationPoisoned: channels.map { $0 == .poisoned }))
    let inherited = channels.contains(.poisoned)
    return (0..<weight.shape[0]).map { filter in
      structure.columnNonfinite[filter]
        ? .poisoned : structure.columnNonzero[filter] || inherited ? .unknown : .zero
    }
  }

  /// One channel in each group: a filter sees its own channel only.
  private func depthwise(
    _ channels: [ElementState], _ weight: Weight, _ context: ZeroContext
  ) throws(FormatError) -> [ElementState] {
    let kernel = weight.shape.extents[2...].reduce(1, *)
    let multiplier = weight.shape[0] / channels.count
    let structure = try weight.reshaped([weight.shape[0], kernel]).nonzeroStructure(pool: context.pool)
    return (0..<weight.shape[0]).map { filter in
      let channel = channels[filter / multiplier]
      if channel == .poisoned || structure.rowNonfinite[filter] { return .poisoned }
      return channel == .zero || !structure.rowNonzero[filter] ? .zero : .unknown
    }
  }

  /// A convolution of each channel alone has as many groups as channels.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard context.node.integer("group", default: 1) > 1, let old = context.oldInputs[0], let new = context.newInputs[0],
      old.count > 1, new.count > 1, old[1] != new[1], let channels = new[1].constant
    else { return }
    context.setAttribute("group", .integer(channels))
  }
}
