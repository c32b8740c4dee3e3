import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// Repeatable random numbers (SplitMix64).
struct RandomNumbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func floats(_ count: Int, within bound: Float = 1) -> [Float] {
    (0..<count).map { _ in Float.random(in: -bound...bound, using: &self) }
  }
}

/// A tensor written as text.
struct ReferenceTensor: Sendable {
  var type: ElementType
  var extents: [Int]
  var text: String

  init(_ type: ElementType, _ extents: [Int], _ text: String) {
    self.type = type
    self.extents = extents
    self.text = text
  }

  var numbers: [Substring] { text.split { $0 == " " || $0 == "\n" } }

  var tensor: Tensor {
    switch type {
    case .f32: Tensor(floats: numbers.map { Float($0) ?? .nan }, extents: extents)
    case .f64: Tensor(doubles: numbers.map { Double($0) ?? .nan }, extents: extents)
    case .i64: Tensor(integers: numbers.map { Int64($0) ?? 0 }, extents: extents)
    case .i32: Tensor(narrowIntegers: numbers.map { Int32($0) ?? 0 }, extents: extents)
    default: Tensor(truths: numbers.map { $0 == "1" }, extents: extents)
    }
  }
}

/// One operator, its operands, and the results that another program gives.
struct ReferenceCase: Sendable, CustomTestStringConvertible {
  var name: String
  var op: String
  var attributes: [String: Attribute]
  var inputs: [ReferenceTensor?]
  var outputs: [ReferenceTensor]
  var tolerance: Double

  init(
    _ name: String, _ op: String, _ attributes: [String: Attribute], inputs: [ReferenceTensor?],
    outputs: [ReferenceTensor], tolerance: Double
  ) {
    self.name = name
    self.op = op
    self.attributes = attributes
    self.inputs = inputs
    self.outputs = outputs
    self.tolerance = tolerance
  }

  var testDescription: String { name }

  /// The graph of the node alone, all operands being inputs.
  func graph() throws -> Graph {
    var builder = GraphBuilder(name: name)
    var operands: [ValueID?] = []
    for (slot, input) in inputs.enumerated() {
      operands.append(input.map { builder.input("x\(slot)", ValueType($0.type, $0.extents.map { Size($0) })) })
    }
    let results: [ValueID] = try builder.add(op, operands, attributes, outputs: outputs.count)
    for (slot, result) in results.enumerated() { builder.output("y\(slot)", result) }
    return builder.graph
  }

  var operands: [String: Tensor] {
    var result: [String: Tensor] = [:]
    for (slot, input) in inputs.enumerated() { result["x\(slot)"] = input?.tensor }
    return result
  }
}

/// Whether two tensors have the same bits.
func sameBits(_ a: Tensor?, _ b: Tensor?) -> Bool {
  guard let a, let b, a.type == b.type, a.extents == b.extents else { return false }
  switch a.type {
  case .f32: return a.floats().map(\.bitPattern) == b.floats().map(\.bitPattern)
  case .f64: return a.doubles().map(\.bitPattern) == b.doubles().map(\.bitPattern)
  default: return a.integers() == b.integers()
  }
}

/// The error that a call throws, if it is about a graph.
func graphError(_ body: () throws -> Void) -> GraphError? {
  do { try body() } catch { return error as? GraphError }
  return nil
}

let oneThread = ThreadPool(threadCount: 1)
let twoThreads = ThreadPool(threadCount: 2)
