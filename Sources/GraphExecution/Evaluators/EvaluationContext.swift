import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// What an evaluator sees of the node it computes.
struct EvaluationContext: Sendable {
  /// The node.
  let node: Node
  /// Its operands by slot; nil for one that is left out.
  let operands: [Operand?]
  /// The graph of the node, for names.
  let graph: Graph
  /// Threads and memory.
  let memory: Memory
  /// The matrices that are packed already.
  let matrices: PackedMatrices
  /// The graphs that the node runs.
  var bodies: [PlannedBody] = []

  var pool: ThreadPool { memory.pool }

  /// Whether an operand is present.
  func has(_ slot: Int) -> Bool { slot < operands.count && operands[slot] != nil }

  /// A required operand that is a tensor.
  func tensor(_ slot: Int) throws -> Tensor {
    let value = try value(slot)
    guard let compound = value.compound else { return value }
    throw failure(.typeMismatch, expected: "a tensor as operand \(slot)", found: compound.phrase)
  }

  /// A required operand, a tensor or not.
  func value(_ slot: Int) throws -> Tensor {
    guard slot < operands.count, let operand = operands[slot] else {
      throw failure(.illFormed, expected: "operand \(slot)", found: "none")
    }
    switch operand {
    case .tensor(let tensor): return tensor
    case .weight(let weight): return try Tensor(reading: weight, memory: memory)
    }
  }

  /// An optional operand.
  func optionalTensor(_ slot: Int) throws -> Tensor? { has(slot) ? try tensor(slot) : nil }

  /// A required operand that is a sequence.
  func sequence(_ slot: Int) throws -> [Tensor] {
    let value = try value(slot)
    if case .sequence(let elements)? = value.compound { return elements }
    throw failure(
      .typeMismatch, expected: "a sequence as operand \(slot)", found: value.compound?.phrase ?? "a tensor")
  }

  /// An operand that is still a lazy weight.
  func weight(_ slot: Int) -> Weight? {
    guard slot < operands.count, case .weight(let weight)? = operands[slot] else { return nil }
    return weight
  }

  /// The elements of an operand of integers.
  func integers(_ slot: Int) throws -> [Int] {
    let tensor = try tensor(slot)
    return try integers(tensor, "operand \(slot)").map { Int($0) }
  }

  /// The elements of a tensor of integers or truth values; the name tells whose they are.
  func integers(_ tensor: Tensor, _ name: String) throws(GraphError) -> [Int64] {
    guard !tensor.type.isFloatingPoint, tensor.type != .string else {
      throw failure(.typeMismatch, expected: "integers in \(name)", found: "\(tensor.type)")
    }
    return tensor.integers()
  }

  /// Refuses extents that a view is to have when it could not be made dense.
  func checkView(_ type: ElementType, _ extents: [Int]) throws(GraphError) {
    guard extents.allSatisfy({ $0 >= 0 }), (try? memory.byteCount(type, extents)) != nil else {
      throw failure(.tooLarge, expected: "at most \(Memory.limit) bytes for one tensor", found: "\(type)\(extents)")
    }
  }

  /// A list of integers that is an operand in newer versions of the operator and an attribute in older ones, or nil when it is neither.
  func optionalList(_ slot: Int, or attribute: String) throws -> [Int]? {
    has(slot) ? try integers(slot) : node.integers(attribute)
  }

  /// As `optionalList`, where it must be there.
  func list(_ slot: Int, or attribute: String) throws -> [Int] {
    if let found = try optionalList(slot, or: attribute) { return found }
    throw failure(.illFormed, expected: "operand \(slot) or the attribute \"\(attribute)\"", found: "neither")
  }

  /// A single integer operand.
  func integer(_ slot: Int) throws -> Int {
    let values = try integers(slot)
    guard values.count == 1 else {
      throw failure(expected: "one number in operand \(slot)", found: "\(values.count)")
    }
    return values[0]
  }

  /// An axis counted from the outermost, from one that may count from the end.
  func axis(_ wanted: Int, rank: Int) throws(GraphError) -> Int {
    guard wanted >= -rank, wanted < rank else {
      throw failure(expected: "an axis of a tensor of rank \(rank)", found: "\(wanted)")
    }
    return wanted < 0 ? wanted + rank : wanted
  }

  /// The extents that operands broadcast to.
  func broadcast(_ shapes: [[Int]]) throws(GraphError) -> [Int] {
    let rank = shapes.map(\.count).max() ?? 0
    var result = Array(repeating: 1, count: rank)
    for shape in shapes {
      for (axis, extent) in shape.enumerated() where extent != 1 {
        let place = rank - shape.count + axis
        guard result[place] == 1 || result[place] == extent else {
          throw failure(expected: "shapes that broadcast", found: shapes.map { "\($0)" }.joined(separator: " and "))
        }
        result[place] = extent
      }
    }
    return result
  }

  /// The name of an operand.
  func name(_ slot: Int) -> String { node.input(slot).map { graph[$0].name } ?? "" }

  /// An error about this node.
  func failure(
    _ code: DiagnosticCode<GraphDomain> = .shapeMismatch, expected: String, found: String
  ) -> GraphError {
    GraphError(code, subject: .node(node.name), expected: "\(expected) for \(node.op)", found: found)
  }
}

/// An operand of a node: in memory, or still in its file.
enum Operand: Sendable {
  case tensor(Tensor)
  case weight(Weight)
}
