import GraphCompaction
import PollardBase

/// Layers and parts of layers that are left out of a model, by their numbers in the file.
package struct LayerRemovals: Sendable, Hashable {
  /// Layers that somebody asked to be left out, ascending.
  package var dropped: [Int] = []
  /// Layers that add nothing, ascending.
  package var dead: [Int] = []
  /// Parts of layers that add nothing, in formats that can hold a layer without them.
  package var parts: [Part] = []

  /// A part of a layer that is left out.
  package struct Part: Sendable, Hashable {
    /// The layer's place in the list of the file's layers, where a further attention has a place of its own.
    package var layer: Int
    /// The part.
    package var part: LayerPart

    var json: JSONValue { ["layer": JSONValue(layer), "part": JSONValue(part.rawValue)] }

    package init(layer: Int, part: LayerPart) {
      self.layer = layer
      self.part = part
    }

    /// Nil for what is no part.
    package init?(_ json: JSONValue) {
      guard let layer = json["layer"]?.intValue, (0..<1 << 20).contains(layer),
        let part = json["part"]?.stringValue.flatMap(LayerPart.init)
      else { return nil }
      self.init(layer: layer, part: part)
    }

    /// A phrase.
    var text: String { "the \(part == .attention ? "attention" : "feed-forward network") of layer \(layer)" }
  }

  package init(dropped: [Int] = [], dead: [Int] = [], parts: [Part] = []) {
    self.dropped = dropped
    self.dead = dead
    self.parts = parts
  }

  /// Whether the model is as it was read.
  package var isEmpty: Bool { dropped.isEmpty && dead.isEmpty && parts.isEmpty }
}
