import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Bytes that an element takes while it is computed in double precision: what is made of it and what it is made of.
let wide = 16

/// The recurrent networks RNN, GRU and LSTM, one step after the other, in double precision.
///
/// Every sum runs over ascending positions in one accumulator. A sequence that has ended keeps its state and gives zeros; the reverse
/// direction begins at the end of each sequence.
///
/// - x: `[T, B, I]`, w: `[D, gates·H, I]`, r: `[D, gates·H, H]`, bias: `[D, 2·gates·H]`, states: `[D, B, H]`, y: `[T, D, B, H]`; with layout 1
///   the batch is outermost.
/// - Source: ONNX RNN-22, GRU-22, LSTM-22.
func evaluateRecurrent(_ context: EvaluationContext) throws -> [Tensor] {
  let network = try RecurrentNetwork(context)
  var (states, cells) = (network.initialStates, network.initialCells)
  var sequence = Array(repeating: 0.0, count: network.steps * network.ways * network.batch * network.width)
  for way in 0..<network.ways {
    for row in 0..<network.batch {
      let length = network.lengths[row]
      let place = (way * network.batch + row) * network.width
      let range = place..<place + network.width
      var state = Array(states[range])
      var cell = Array(cells[range])
      for step in 0..<length {
        let time = network.isReverse(way) ? length - 1 - step : step
        network.advance(&state, &cell, way: way, row: row, time: time)
        let start = ((time * network.ways + way) * network.batch + row) * network.width
        sequence.replaceSubrange(start..<start + network.width, with: state)
      }
      states.replaceSubrange(range, with: state)
      cells.replaceSubrange(range, with: cell)
    }
  }
  let (d, b, h) = (network.ways, network.batch, network.width)
  var results = [
    Tensor(doubles: sequence, extents: [network.steps, d, b, h]), Tensor(doubles: states, extents: [d, b, h]),
    Tensor(doubles: cells, extents: [d, b, h]),
  ]
  if network.isBatchFirst {
    results[0] = results[0].transposed([2, 0, 1, 3])
    for slot in 1...2 { results[slot] = results[slot].transposed([1, 0, 2]) }
  }
  let type = try context.tensor(0).type
  return try results.map { try converted($0, to: type, context) }
}

/// The operands and attributes of a recurrent network.
private struct RecurrentNetwork {
  let gates: Int
  let steps: Int
  let batch: Int
  let inputs: Int
  let width: Int
  let ways: Int
  let isBatchFirst: Bool
  private(set) var lengths: [Int]
  private(set) var initialStates: [Double]
  private(set) var initialCells: [Double]
  private let direction: String
  private let x: [Double]
  private let w: [Double]
  private let r: [Double]
  private var bias: [Double]
  private var peepholes: [Double]
  private let functions: [RecurrentActivation]
  private let clip: Double
  private let resetsLinearly: Bool
  private let couplesForget: Bool

  init(_ context: EvaluationContext) throws {
    let node = context.node
    let defaults: [String]
    switch node.op.name {
    case "RNN": (gates, defaults) = (1, ["Tanh"])
    case "GRU": (gates, defaults) = (3, ["Sigmoid", "Tanh"])
    default: (gates, defaults) = (4, ["Sigmoid", "Tanh", "Tanh"])
    }
    isBatchFirst = node.integer("layout", default: 0) != 0
    let stored = try context.tensor(0)
    guard stored.rank == 3 else { throw context.failure(expected: "[T, B, I]", found: "\(stored.extents)") }
    let input = isBatchFirst ? stored.transposed([1, 0, 2]) : stored
    (steps, batch, inputs) = (input.extents[0], input.extents[1], input.extents[2])
    direction = node.string("direction") ?? "forward"
    guard ["forward", "reverse", "bidirectional"].contains(direction) else {
      throw context.failure(.unsupported, expected: "a known direction", found: "\"\(direction)\"")
    }
    ways = direction == "bidirectional" ? 2 : 1
    let weights = try context.tensor(1)
    let recurrent = try context.tensor(2)
    width = recurrent.rank == 3 ? recurrent.extents[2] : 0
    guard weights.extents == [ways, gates * width, inputs], recurrent.extents == [ways, gates * width, width] else {
      throw context.failure(
        expected: "matrices [\(ways), \(gates)·H, \(inputs)] and [\(ways), \(gates)·H, H]",
        found: "\(weights.extents) and \(recurrent.extents)")
    }
    try context.checkSize([wide, steps, ways, batch, max(width, 1)])
    (x, w, r) = (input.doubles(), weights.doubles(), recurrent.doubles())
    let (batch, width, ways, isBatchFirst) = (batch, width, ways, isBatchFirst)
    func vector(_ slot: Int, _ extents: [Int]) throws -> [Double] {
      guard let tensor = try context.optionalTensor(slot) else {
        return Array(repeating: 0, count: extents.reduce(1, *))
      }
      let isState = extents.count == 3 && isBatchFirst
      guard tensor.extents == (isState ? [extents[1], extents[0], extents[2]] : extents) else {
        throw context.failure(expected: "\(extents) in operand \(slot)", found: "\(tensor.extents)")
      }
      return (isState ? tensor.transposed([1, 0, 2]) : tensor).doubles()
    }
    bias = try vector(3, [ways, 2 * gates * width])
    initialStates = try vector(5, [ways, batch, width])
    let isLong = node.op.name == "LSTM"
    initialCells = isLong ? try vector(6, [ways, batch, width]) : initialStates.map { _ in 0 }
    peepholes = isLong ? try vector(7, [ways, 3 * width]) : []
    lengths = context.has(4) ? try context.integers(4) : Array(repeating: steps, count: batch)
    let steps = steps
    guard lengths.count == batch, lengths.allSatisfy({ (0...steps).contains($0) }) else {
      throw context.failure(expected: "\(batch) lengths of at most \(steps)", found: "\(lengths)")
    }
    var names = Array(repeating: defaults, count: ways).flatMap { $0 }
    if case .strings(let given)? = node.attributes["activations"] { names = given }
    guard names.count == ways * defaults.count else {
      throw context.failure(.illFormed, expected: "\(ways * defaults.count) activations", found: "\(names)")
    }
    var (alphas, betas) = (node.floats("activation_alpha") ?? [], node.floats("activation_beta") ?? [])
    functions = try names.map { name in
      guard let function = RecurrentActivation(name, &alphas, &betas) else {
        throw context.failure(.unsupported, expected: "a known activation", found: "\"\(name)\"")
      }
      return function
    }
    clip = Double(node.float("clip") ?? .infinity)
    resetsLinearly = node.integer("linear_before_reset", default: 0) != 0
    couplesForget = node.integer("input_forget", default: 0) != 0
  }

  func isReverse(_ way: Int) -> Bool { direction == "reverse" || way == 1 }

  /// The activation `index` of a direction, after clipping.
  private func apply(_ index: Int, _ way: Int, _ value: Double) -> Double {
    functions[way * (functions.count / ways) + index](min(max(value, -clip), clip))
  }

  /// Row `row` of a gate's matrix times the input.
  private func projected(_ gate: Int, _ unit: Int, _ way: Int, _ row: Int, _ time: Int) -> Double {
    let matrix = ((way * gates + gate) * width + unit) * inputs
    let start = (time * batch + row) * inputs
    var sum = 0.0
    for index in 0..<inputs { sum += w[matrix + index] * x[start + index] }
    return sum
  }

  private func recurred(_ gate: Int, _ unit: Int, _ way: Int, _ state: [Double]) -> Double {
    let matrix = ((way * gates + gate) * width + unit) * width
    var sum = 0.0
    for index in 0..<width { sum += r[matrix + index] * state[index] }
    return sum
  }

  /// The bias of the input's matrix, and that of the state's.
  private func biases(_ gate: Int, _ unit: Int, _ way: Int) -> (Double, Double) {
    let start = way * 2 * gates * width
    return (bias[start + gate * width + unit], bias[start + (gates + gate) * width + unit])
  }

  private func gate(_ gate: Int, _ unit: Int, _ way: Int, _ row: Int, _ time: Int, _ state: [Double]) -> Double {
    let (first, second) = biases(gate, unit, way)
    return projected(gate, unit, way, row, time) + recurred(gate, unit, way, state) + (first + second)
  }

  /// One step of one sequence.
  func advance(_ state: inout [Double], _ cell: inout [Double], way: Int, row: Int, time: Int) {
    let before = state
    switch gates {
    case 1:
      for unit in 0..<width { state[unit] = apply(0, way, gate(0, unit, way, row, time, before)) }
    case 3:
      let update = (0..<width).map { apply(0, way, gate(0, $0, way, row, time, before)) }
      let reset = (0..<width).map { apply(0, way, gate(1, $0, way, row, time, before)) }
      let kept = (0..<width).map { reset[$0] * before[$0] }
      for unit in 0..<width {
        let (first, second) = biases(2, unit, way)
        let input = projected(2, unit, way, row, time) + first
        let past =
          resetsLinearly
          ? reset[unit] * (recurred(2, unit, way, before) + second) : recurred(2, unit, way, kept) + second
        state[unit] = (1 - update[unit]) * apply(1, way, input + past) + update[unit] * before[unit]
      }
    default:
      let peephole = way * 3 * width
      for unit in 0..<width {
        let past = cell[unit]
        let input = apply(0, way, gate(0, unit, way, row, time, before) + peepholes[peephole + unit] * past)
        let forget =
          couplesForget
          ? 1 - input
          : apply(0, way, gate(2, unit, way, row, time, before) + peepholes[peephole + 2 * width + unit] * past)
        cell[unit] = forget * past + input * apply(1, way, gate(3, unit, way, row, time, before))
        let output = apply(
          0, way, gate(1, unit, way, row, time, before) + peepholes[peephole + width + unit] * cell[unit])
        state[unit] = output * functions[way * (functions.count / ways) + 2](cell[unit])
      }
    }
  }
}

/// An activation of a recurrent network, with the numbers it takes from the lists of all of them.
private struct RecurrentActivation {
  private let function: @Sendable (Double) -> Double

  func callAsFunction(_ value: Double) -> Double { function(value) }

  init?(_ name: String, _ alphas: inout [Float], _ betas: inout [Float]) {
    func take(_ list: inout [Float], _ value: Double) -> Double { list.isEmpty ? value : Double(list.removeFirst()) }
    switch name.lowercased() {
    case "tanh": function = { hyperbolicTangent($0) }
    case "sigmoid": function = { Kernels.unary(.sigmoid, $0) }
    case "relu": function = { $0 < 0 ? 0 : $0 }
    case "softsign": function = { $0 / (1 + abs($0)) }
    case "softplus": function = { Kernels.unary(.softplus, $0) }
    case "leakyrelu":
      let alpha = take(&alphas, 0.01)
      function = { $0 < 0 ? alpha * $0 : $0 }
    case "thresholdedrelu":
      let alpha = take(&alphas, 1)
      function = { $0 > alpha ? $0 : 0 }
    case "elu":
      let alpha = take(&alphas, 1)
      function = { $0 < 0 ? alpha * Kernels.unary(.exponentialMinusOne, $0) : $0 }
    case "affine":
      let (alpha, beta) = (take(&alphas, 1), take(&betas, 0))
      function = { alpha * $0 + beta }
    case "scaledtanh":
      let (alpha, beta) = (take(&alphas, 1), take(&betas, 1))
      function = { alpha * hyperbolicTangent(beta * $0) }
    case "hardsigmoid":
      let (alpha, beta) = (take(&alphas, 0.2), take(&betas, 0.5))
      function = { min(max(alpha * $0 + beta, 0), 1) }
    default: return nil
    }
  }
}

extension EvaluatorTable {
  static let recurrentNetworks: [OperatorName: Evaluator] = {
    var table: [OperatorName: Evaluator] = [:]
    for name in ["RNN", "GRU"] { table[OperatorName(name)] = { Array(try evaluateRecurrent($0).prefix(2)) } }
    table[OperatorName("LSTM")] = { try evaluateRecurrent($0) }
    return table
  }()
}
