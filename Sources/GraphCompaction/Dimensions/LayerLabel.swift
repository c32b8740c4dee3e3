import ModelGraph

/// The layer number in the name of a place: the number after `layer`, `layers`, `h`, `block` or `blocks`.
func layerLabel(_ name: String) -> Int? {
  let parts = name.split { $0 == "." || $0 == "/" }
  for (word, number) in zip(parts, parts.dropFirst()) where ["layer", "layers", "h", "block", "blocks"].contains(word) {
    if let layer = Int(number), layer >= 0 { return layer }
  }
  return nil
}

extension Node {
  /// The number of the layer the node belongs to, as far as its names tell.
  var layer: Int? { layerLabel(scope) ?? layerLabel(name) }
}
