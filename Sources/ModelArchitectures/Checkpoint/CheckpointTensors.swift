import ModelGraph
import PollardBase
import TensorStorage

/// The tensors of a checkpoint by the names that an architecture asks for.
///
/// Those names have no base prefix (`bert.`, `model.`) and the newer spelling of the norm parameters; what is on disk
/// may differ in both.
struct CheckpointTensors {
  /// The tensors in their order on disk, prune pairs resolved.
  let tensors: [NamedTensor]
  private let basePrefix: String
  private let isPrefixed: Bool
  private let positions: [String: Int]
  private let canonicalNames: [String]
  private var taken: [Bool]

  /// - Throws: what resolving prune pairs throws; `duplicateParameter` when two tensors stand for one parameter.
  init(_ stored: [NamedTensor], basePrefix: String) throws(FormatError) {
    tensors = try PrunePair.resolved(stored)
    self.basePrefix = basePrefix
    isPrefixed = tensors.contains { $0.name.hasPrefix(basePrefix) }
    canonicalNames = tensors.map { Self.canonicalName($0.name, basePrefix: basePrefix) }
    var positions: [String: Int] = [:]
    positions.reserveCapacity(tensors.count)
    for (position, name) in canonicalNames.enumerated() {
      if let other = positions.updateValue(position, forKey: name) {
        throw FormatError(
          .duplicateParameter, file: tensors[position].file, subject: .tensor(tensors[position].name),
          found: "\"\(tensors[other].name)\" besides it")
      }
    }
    self.positions = positions
    taken = Array(repeating: false, count: tensors.count)
  }

  static func canonicalName(_ name: String, basePrefix: String) -> String {
    var result = name.hasPrefix(basePrefix) ? String(name.dropFirst(basePrefix.count)) : name
    if result.hasSuffix("LayerNorm.gamma") { result = String(result.dropLast(5)) + "weight" }
    if result.hasSuffix("LayerNorm.beta") { result = String(result.dropLast(4)) + "bias" }
    return result
  }

  /// Whether a parameter is stored.
  func contains(_ name: String) -> Bool { positions[name] != nil }

  /// A stored tensor, without taking it.
  func tensor(_ name: String) -> NamedTensor? { positions[name].map { tensors[$0] } }

  /// The shape of a parameter that must be stored.
  func shape(_ name: String, expected: [String]) throws(FormatError) -> Shape {
    guard let found = tensor(name) else { throw missing(name, expected: "[" + expected.joined(separator: ", ") + "]") }
    guard found.weight.shape.rank == expected.count else {
      throw FormatError(
        .wrongShape, file: found.file, subject: .tensor(found.name),
        expected: "[" + expected.joined(separator: ", ") + "]",
        found: "\(found.weight.shape)")
    }
    return found.weight.shape
  }

  /// Takes a parameter of a given shape: its position among the tensors.
  ///
  /// - Throws: `missingTensor`, `wrongShape`, `unexpectedParameterType`.
  mutating func take(_ name: String, _ shape: [Int]) throws(FormatError) -> Int {
    guard let position = positions[name] else { throw missing(name, expected: "\(Shape(shape))") }
    let tensor = tensors[position]
    guard tensor.weight.shape.extents == shape else {
      throw FormatError(
        .wrongShape, file: tensor.file, subject: .tensor(tensor.name), expected: "\(Shape(shape))",
        found: "\(tensor.weight.shape)", remedy: "check that config.json belongs to these weights")
    }
    guard tensor.weight.type.isParameterType else { throw .unexpectedParameterType(tensor) }
    taken[position] = true
    return position
  }

  /// The tensors nobody took, with the names that an architecture knows them by.
  var untaken: [(position: Int, canonicalName: String)] {
    taken.indices.filter { !taken[$0] }.map { ($0, canonicalNames[$0]) }
  }

  private func missing(_ name: String, expected: String) -> FormatError {
    let belongsToBase = positions.keys.contains { $0.prefix { $0 != "." } == name.prefix { $0 != "." } }
    return FormatError(
      .missingTensor, subject: .tensor((isPrefixed && belongsToBase && !Self.isHead(name) ? basePrefix : "") + name),
      expected: expected, found: "no such tensor")
  }

  private static func isHead(_ name: String) -> Bool {
    ["cls.", "classifier.", "qa_outputs.", "lm_head.", "score.", "vocab_", "pre_classifier."].contains(
      where: name.hasPrefix)
  }
}
