import Foundation
import GraphExecution
import ModelGraph
import TensorStorage
import Testing

/// A tensor written as text.
struct ReferenceTensor: Sendable {
  var type: ElementType
  var extents: [Int]
  var text: String

  var numbers: [Substring] { text.split(separator: " ") }

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

/// The cases of `ReferenceCases.json`, which `make-reference-values` writes; none when the file is not what it should be, which a test finds.
let referenceCases: [ReferenceCase] = {
  let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "ReferenceCases.json")
  guard let data = try? Data(contentsOf: file) else { return [] }
  return (try? JSONDecoder().decode(ReferenceFile.self, from: data))?.cases.map(\.reference) ?? []
}()

private struct ReferenceFile: Decodable {
  struct Case: Decodable {
    var name: String
    var op: String
    var attributes: [String: Value]
    var inputs: [Operand?]
    var outputs: [Operand]
    var tolerance: Double

    var reference: ReferenceCase {
      ReferenceCase(
        name: name, op: op, attributes: attributes.mapValues(\.attribute), inputs: inputs.map { $0?.tensor },
        outputs: outputs.map(\.tensor), tolerance: tolerance)
    }
  }

  struct Value: Decodable {
    var string: String?
    var float: Float?
    var integer: Int?
    var integers: [Int]?

    var attribute: Attribute {
      if let string { return .string(string) }
      if let float { return .float(float) }
      if let integer { return .integer(integer) }
      return .integers(integers ?? [])
    }
  }

  struct Operand: Decodable {
    var tensor: ReferenceTensor

    private static let types: [String: ElementType] = [
      "f32": .f32, "f64": .f64, "i64": .i64, "i32": .i32, "bool": .bool,
    ]

    init(from decoder: any Decoder) throws {
      var parts = try decoder.unkeyedContainer()
      let name = try parts.decode(String.self)
      guard let type = Self.types[name] else {
        throw DecodingError.dataCorruptedError(in: parts, debugDescription: "no element type is called \(name)")
      }
      tensor = ReferenceTensor(
        type: type, extents: try parts.decode([Int].self), text: try parts.decode(String.self))
    }
  }

  var cases: [Case]
}

@Suite("Reference cases")
struct ReferenceCaseTests {
  @Test("are all read, and each tensor has as many elements as its extents say")
  func areRead() {
    #expect(referenceCases.count == 132)
    for tensor in referenceCases.flatMap({ $0.inputs.compactMap { $0 } + $0.outputs }) {
      #expect(tensor.numbers.count == tensor.extents.reduce(1, *))
    }
  }
}
