import ModelGraph
import TensorStorage

/// A tensor of the reference evaluator; integers are held as doubles too.
struct Reference: Equatable {
  var shape: [Int]
  var data: [Double]

  static func == (a: Self, b: Self) -> Bool {
    a.shape == b.shape && zip(a.data, b.data).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
  }
}

/// Evaluates a graph in double precision by the definitions of the operators, term by term in ascending order.
struct ReferenceEvaluator {
  let graph: Graph
  private(set) var values: [ValueID: Reference] = [:]

  init(_ graph: Graph, inputs: [String: Reference]) throws {
    self.graph = graph
    for id in graph.inputs { values[id] = inputs[graph[id].name] }
    for id in graph.initializers { values[id] = try Self.read(graph[id].initializer) }
    for node in graph.nodes {
      for (slot, result) in try evaluate(node).enumerated() {
        if let id = node.outputs[slot] { values[id] = result }
      }
    }
  }

  subscript(_ name: String) -> Reference? { graph.value(named: name).flatMap { values[$0] } }

  private static func read(_ weight: Weight?) throws -> Reference {
    guard let weight else { throw Failure("no weight") }
    if weight.type == .i64 {
      return Reference(shape: weight.shape.extents, data: try weight.smallNumbers())
    }
    return Reference(shape: weight.shape.extents, data: try weight.cast(to: .f32).floats().map(Double.init))
  }

  struct Failure: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  func operand(_ node: Node, _ slot: Int) throws -> Reference {
    guard let id = node.input(slot), let value = values[id] else { throw Failure("\(node.name) slot \(slot)") }
    return value
  }

  private func evaluate(_ node: Node) throws -> [Reference] {
    let x = try operand(node, 0)
    func unary(_ f: (Double) -> Double) -> [Reference] { [Reference(shape: x.shape, data: x.data.map(f))] }
    func binary(_ f: (Double, Double) -> Double) throws -> [Reference] { [broadcast(x, try operand(node, 1), f)] }
    switch node.op.name {
    case "Add": return try binary(+)
    case "Mul": return try binary(*)
    case "Div": return try binary(/)
    case "Sub": return try binary(-)
    case "Relu": return unary { max($0, 0) }
    case "Sigmoid": return unary { 1 / (1 + exponential(-$0)) }
    case "Swish": return unary { $0 / (1 + exponential(-$0)) }
    case "Gelu", "Tanh": return unary { $0 * (1 / (1 + exponential(-1.702 * $0))) }  // any smooth function with f(0) = 0 will do
    case "Identity": return [x]
    case "Shape":
      let end = node.integer("end", default: x.shape.count)
      return [
        Reference(
          shape: [end - node.integer("start", default: 0)],
          data: x.shape[node.integer("start", default: 0)..<end].map(Double.init))
      ]
    case "Concat":
      return [concatenate(try node.inputs.indices.map { try operand(node, $0) }, node.integer("axis", default: 0))]
    case "Gather": return [gather(x, try operand(node, 1), node.integer("axis", default: 0))]
    case "Slice": return [try slice(x, node)]
    case "Reshape": return [reshape(x, try operand(node, 1).data.map { Int($0) })]
    case "Expand":
      let target = Reference(shape: try operand(node, 1).data.map { Int($0) }, data: [])
      return [
        broadcast(
          x, Reference(shape: target.shape, data: Array(repeating: 0, count: target.shape.reduce(1, *))), { a, _ in a })
      ]
    case "Unsqueeze":
      return [Reference(shape: unsqueezed(x.shape, try operand(node, 1).data.map { Int($0) }), data: x.data)]
    case "Transpose": return [transpose(x, node.integers("perm") ?? Array(x.shape.indices.reversed()))]
    case "Split": return try split(x, node)
    case "Softmax":
      return [
        rows(x) { row in
          let top = row.max() ?? 0
          let e = row.map { exponential($0 - top) }
          let total = e.reduce(0, +)
          return e.map { $0 / total }
        }
      ]
    case "LayerNormalization":
      let scale = try operand(node, 1).data
      let bias = try operand(node, 2).data
      return [
        rows(x) { row in
          let mean = row.reduce(0, +) / Double(row.count)
          let variance = row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(row.count)
          return row.indices.map { (row[$0] - mean) / (variance + 1e-5).squareRoot() * scale[$0] + bias[$0] }
        }
      ]
    case "RMSNormalization":
      let scale = try operand(node, 1).data
      return [
        rows(x) { row in
          let mean = row.map { $0 * $0 }.reduce(0, +) / Double(row.count)
          return row.indices.map { row[$0] / (mean + 1e-5).squareRoot() * scale[$0] }
        }
      ]
    case "MatMul": return [matmul(x, try operand(node, 1))]
    case "Attention": return [attention(x, try operand(node, 1), try operand(node, 2))]
    case "RotaryEmbedding":
      let cos = try operand(node, 1)
      let sin = try operand(node, 2)
      var result = x
      let (heads, length, size) = (x.shape[1], x.shape[2], x.shape[3])
      for row in 0..<x.data.count / size {
        let place = row / (heads * length) * length + row % length
        for i in 0..<size / 2 {
          let (a, b) = (x.data[row * size + i], x.data[row * size + size / 2 + i])
          let (c, s) = (cos.data[place * size / 2 + i], sin.data[place * size / 2 + i])
          result.data[row * size + i] = a * c - b * s
          result.data[row * size + size / 2 + i] = b * c + a * s
        }
      }
      return [result]
    default: throw Failure("operator \(node.op.name)")
    }
  }

  private func unsqueezed(_ shape: [Int], _ axes: [Int]) -> [Int] {
    var shape = shape
    for axis in axes.sorted() { shape.insert(1, at: axis) }
    return shape
  }

  private func reshape(_ x: Reference, _ target: [Int]) -> Reference {
    var shape = target.enumerated().map { $1 == 0 ? x.shape[$0] : $1 }
    if let open = shape.firstIndex(of: -1) {
      shape[open] = x.data.count / max(1, shape.filter { $0 != -1 }.reduce(1, *))
    }
    precondition(shape.reduce(1, *) == x.data.count, "reshape \(x.shape) to \(target)")
    return Reference(shape: shape, data: x.data)
  }

  private func rows(_ x: Reference, _ f: ([Double]) -> [Double]) -> Reference {
    let size = x.shape.last ?? 1
    return Reference(
      shape: x.shape, data: stride(from: 0, to: x.data.count, by: size).flatMap { f(Array(x.data[$0..<$0 + size])) })
  }

  private func broadcast(_ a: Reference, _ b: Reference, _ f: (Double, Double) -> Double) -> Reference {
    let rank = max(a.shape.count, b.shape.count)
    let sa = Array(repeating: 1, count: rank - a.shape.count) + a.shape
    let sb = Array(repeating: 1, count: rank - b.shape.count) + b.shape
    let shape = zip(sa, sb).map { max($0, $1) }
    func index(_ flat: Int, _ from: [Int]) -> Int {
      var rest = flat
      var result = 0
      var step = 1
      for axis in (0..<rank).reversed() {
        let place = rest % shape[axis]
        rest /= shape[axis]
        precondition(from[axis] == shape[axis] || from[axis] == 1, "\(a.shape) with \(b.shape)")
        if from[axis] != 1 { result += place * step }
        step *= from[axis]
      }
      return result
    }
    return Reference(
      shape: shape, data: (0..<shape.reduce(1, *)).map { f(a.data[index($0, sa)], b.data[index($0, sb)]) })
  }

  private func transpose(_ x: Reference, _ order: [Int]) -> Reference {
    let shape = order.map { x.shape[$0] }
    var strides = Array(repeating: 1, count: x.shape.count)
    for axis in x.shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * x.shape[axis + 1] }
    let data = (0..<x.data.count).map { flat -> Double in
      var rest = flat
      var source = 0
      for axis in shape.indices.reversed() {
        source += rest % shape[axis] * strides[order[axis]]
        rest /= shape[axis]
      }
      return x.data[source]
    }
    return Reference(shape: shape, data: data)
  }

  private func split(_ x: Reference, _ node: Node) throws -> [Reference] {
    let last = x.shape.count - 1
    let total = x.shape[last]
    let sizes =
      node.input(1) == nil
      ? Array(repeating: total / node.outputs.count, count: node.outputs.count)
      : try operand(node, 1).data.map { Int($0) }
    var start = 0
    return sizes.map { size in
      let data = stride(from: 0, to: x.data.count, by: total).flatMap { x.data[$0 + start..<$0 + start + size] }
      start += size
      return Reference(shape: x.shape.dropLast() + [size], data: data)
    }
  }

  private func matmul(_ a: Reference, _ b: Reference) -> Reference {
    let (m, k) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1])
    let n = b.shape[b.shape.count - 1]
    precondition(b.shape[b.shape.count - 2] == k, "\(a.shape) by \(b.shape)")
    let batch = a.data.count / (m * k)
    let shared = b.data.count == k * n
    var result = Reference(shape: a.shape.dropLast() + [n], data: Array(repeating: 0, count: batch * m * n))
    for block in 0..<batch {
      for i in 0..<m {
        for j in 0..<n {
          var sum = 0.0
          for term in 0..<k {
            sum += a.data[(block * m + i) * k + term] * b.data[((shared ? 0 : block) * k + term) * n + j]
          }
          result.data[(block * m + i) * n + j] = sum
        }
      }
    }
    return result
  }

  private func attention(_ q: Reference, _ k: Reference, _ v: Reference) -> Reference {
    let (batch, heads, length, size) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3])
    let (groups, keys, valueSize) = (k.shape[1], k.shape[2], v.shape[3])
    var result = Reference(shape: [batch, heads, length, valueSize], data: [])
    for b in 0..<batch {
      for head in 0..<heads {
        let group = head / (heads / groups)
        for i in 0..<length {
          var scores = (0..<keys).map { key in
            (0..<size).reduce(0.0) {
              $0 + q.data[((b * heads + head) * length + i) * size + $1]
                * k.data[((b * groups + group) * keys + key) * size + $1]
            }
          }
          let top = scores.max() ?? 0
          scores = scores.map { exponential(($0 - top) * 0.25) }
          let total = scores.reduce(0, +)
          for j in 0..<valueSize {
            result.data.append(
              (0..<keys).reduce(0.0) {
                $0 + scores[$1] / total * v.data[((b * groups + group) * keys + $1) * valueSize + j]
              })
          }
        }
      }
    }
    return result
  }
}

/// e^x by its series after halving; accurate enough for a reference that is only compared with itself.
func exponential(_ x: Double) -> Double {
  if x.isNaN { return x }
  if x < -700 { return 0 }
  if x > 700 { return .infinity }
  var halvings = 0
  var y = x
  while abs(y) > 0.5 {
    y /= 2
    halvings += 1
  }
  var term = 1.0
  var sum = 1.0
  for n in 1...20 {
    term *= y / Double(n)
    sum += term
  }
  for _ in 0..<halvings { sum *= sum }
  return sum
}

extension Weight {
  func smallNumbers() throws -> [Double] {
    let content = try bytes()
    return (0..<shape.elementCount).map { index in
      let pattern = content[index * 8..<index * 8 + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return Double(Int64(bitPattern: pattern))
    }
  }
}

extension ReferenceEvaluator {
  private func concatenate(_ parts: [Reference], _ wanted: Int) -> Reference {
    let rank = parts[0].shape.count
    let axis = wanted < 0 ? wanted + rank : wanted
    var shape = parts[0].shape
    shape[axis] = parts.map { $0.shape[axis] }.reduce(0, +)
    var data: [Double] = []
    for row in 0..<shape[..<axis].reduce(1, *) {
      for part in parts {
        let length = part.shape[axis...].reduce(1, *)
        data += part.data[row * length..<(row + 1) * length]
      }
    }
    return Reference(shape: shape, data: data)
  }

  private func gather(_ x: Reference, _ indices: Reference, _ wanted: Int) -> Reference {
    let axis = wanted < 0 ? wanted + x.shape.count : wanted
    let inner = x.shape[(axis + 1)...].reduce(1, *)
    var data: [Double] = []
    for row in 0..<x.shape[..<axis].reduce(1, *) {
      for index in indices.data {
        let start = (row * x.shape[axis] + Int(index)) * inner
        data += x.data[start..<start + inner]
      }
    }
    return Reference(shape: Array(x.shape[..<axis]) + indices.shape + Array(x.shape[(axis + 1)...]), data: data)
  }

  /// Ranges of step 1 along given axes.
  private func slice(_ x: Reference, _ node: Node) throws -> Reference {
    func numbers(_ slot: Int) throws -> [Int] { try operand(node, slot).data.map { Int($0) } }
    var result = x
    for ((start, end), axis) in zip(zip(try numbers(1), try numbers(2)), try numbers(3)) {
      let list = Array(start..<min(end, result.shape[axis])).map(Double.init)
      result = gather(result, Reference(shape: [list.count], data: list), axis)
    }
    return result
  }
}
