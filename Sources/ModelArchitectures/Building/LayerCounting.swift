import PollardBase
import TensorStorage

extension ModelBuilder {
  /// How many blocks of `block` rows (or columns) a stored matrix has: the heads of a layer, as its tensors tell them.
  ///
  /// - Throws: `missingTensor`; `wrongShape` when the extent is no multiple of the block, or zero.
  func blockCount(_ matrix: String, axis: Int, block: Int, expected: [String]) throws(FormatError) -> Int {
    let shape = try tensors.shape(matrix, expected: expected)
    guard shape[axis] > 0, shape[axis] % block == 0 else {
      throw FormatError(
        .wrongShape, file: tensors.tensor(matrix)?.file, subject: .tensor(tensors.tensor(matrix)?.name ?? matrix),
        expected: "a multiple of \(block) along axis \(axis)", found: "\(shape)")
    }
    return shape[axis] / block
  }
}

/// Heads that a configuration says were removed from a layer: `pruned_heads`, numbered as before any removal.
struct PrunedHeads {
  private var removed: [Int: Set<Int>] = [:]

  /// - Throws: `configurationValue` when keys are no layer numbers or values no lists of head numbers.
  init(_ config: ConfigurationReader, layers: Int, heads: Int) throws(FormatError) {
    guard let value = config.value("pruned_heads") else { return }
    guard let object = value.objectValue else { throw config.unusable("pruned_heads", expected: "an object", value) }
    for member in object.members {
      guard let layer = Int(member.key), (0..<layers).contains(layer), let list = member.value.arrayValue else {
        throw config.unusable("pruned_heads", expected: "lists of heads by layer, from 0 to \(layers - 1)", value)
      }
      for element in list {
        guard let head = element.intValue, (0..<heads).contains(head) else {
          throw config.unusable("pruned_heads", expected: "heads from 0 to \(heads - 1)", element)
        }
        removed[layer, default: []].insert(head)
      }
      if removed[layer]?.count == heads {
        throw config.unusable("pruned_heads", expected: "at least one head left in layer \(layer)", value)
      }
    }
  }

  /// The heads that a layer kept, ascending.
  func kept(_ layer: Int, of heads: Int) -> [Int] {
    guard let gone = removed[layer] else { return Array(0..<heads) }
    return (0..<heads).filter { !gone.contains($0) }
  }

  /// The value of `pruned_heads` after layers kept some of their heads; layers without removals are not listed.
  static func value(keeping kept: [[Int]], of heads: Int) -> JSONValue {
    var members: [(key: String, value: JSONValue)] = []
    for (layer, indices) in kept.enumerated() where indices.count != heads {
      let gone = Set(0..<heads).subtracting(indices).sorted()
      members.append((key: String(layer), value: .array(gone.map { JSONValue($0) })))
    }
    return .object(JSONObject(members))
  }
}
