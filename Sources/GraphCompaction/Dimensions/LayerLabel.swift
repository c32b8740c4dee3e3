import ModelGraph

/// The place of a layer in the names of a model: the stack it stands in and its number there.
public struct LayerLabel: Sendable, Hashable {
  /// What stands before the number: `encoder`, or empty.
  public var stack: String
  /// The number.
  public var number: Int

  /// Creates a label.
  public init(stack: String, number: Int) {
    self.stack = stack
    self.number = number
  }

  /// The label in the name of a place: the number after `layer`, `layers`, `h`, `block` or `blocks`, with what stands before these.
  public init?(_ name: String) {
    let parts = name.split { $0 == "." || $0 == "/" }
    for place in parts.indices.dropLast() where Self.words.contains(parts[place]) {
      guard let number = Int(parts[place + 1]), number >= 0 else { continue }
      self.init(stack: parts[..<place].joined(separator: "."), number: number)
      return
    }
    return nil
  }

  private static let words: Set<Substring> = ["layer", "layers", "h", "block", "blocks"]
}

extension Node {
  /// The layer the node belongs to, as far as its names tell.
  var layer: LayerLabel? { LayerLabel(scope) ?? LayerLabel(name) }
}
