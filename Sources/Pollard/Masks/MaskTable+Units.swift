import GraphCompaction
import ModelArchitectures
import PollardBase
import TensorStorage

extension MaskTable {
  /// Reads one array under its name.
  ///
  /// - Throws: `unknownMask`, `maskShape`.
  mutating func read(
    _ name: String, _ shape: Shape, _ values: [Float], layers: [LayerSummary]
  ) throws(CompactionError) {
    if name == "layer_mask" {
      guard shape.rank == 1 else {
        throw CompactionError(.maskShape, subject: .tensor(name), expected: "one axis", found: "\(shape)")
      }
      self.layers = .mask(values)
      return
    }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    if parts.count == 3, parts[0] == "layers", let layer = Int(parts[1]) {
      guard layers.indices.contains(layer) else {
        throw CompactionError(
          .maskShape, subject: .tensor(name), expected: "a layer from 0 to \(layers.count - 1)", found: "layer \(layer)"
        )
      }
      try set(String(parts[2]), layer, values, of: name, shape, layers)
      return
    }
    if name == "hidden_mask" {
      guard shape.rank == 1 else {
        throw CompactionError(.maskShape, subject: .tensor(name), expected: "one axis", found: "\(shape)")
      }
      return readChannels(values)
    }
    if name == "vocab_mask" {
      guard shape.rank == 1 else {
        throw CompactionError(
          .maskShape, subject: .tensor(name), expected: "[vocabulary size]", found: "\(shape)")
      }
      vocabulary = values
      return
    }
    let widths = Set(layers.compactMap { Self.count(name, $0) }).subtracting([0])
    guard !widths.isEmpty else { throw Self.unknown(name) }
    guard shape.rank == 2, shape[0] == layers.count, widths == [shape[1]] else {
      let width = widths.count == 1 ? "\(widths.first ?? 0)" : "?"
      throw CompactionError(
        .maskShape, subject: .tensor(name), expected: "[\(layers.count), \(width)]", found: "\(shape)",
        remedy: widths.count == 1 ? nil : "layers differ: give layers.<i>.\(name)")
    }
    for layer in layers.indices {
      let row = Array(values[layer * shape[1]..<(layer + 1) * shape[1]])
      // A layer without such units has a row of ones.
      if Self.count(name, layers[layer]) == 0, row.allSatisfy({ $0 == 1 }) { continue }
      try set(name, layer, row, of: name, [shape[1]], layers)
    }
  }

  private mutating func set(
    _ kind: String, _ layer: Int, _ values: [Float], of name: String, _ shape: Shape, _ layers: [LayerSummary]
  ) throws(CompactionError) {
    guard let count = Self.count(kind, layers[layer]) else { throw Self.unknown(name) }
    guard shape.rank == 1, values.count == count else {
      throw CompactionError(.maskShape, subject: .tensor(name), expected: "[\(count)]", found: "\(shape)")
    }
    switch kind {
    case "head_mask": heads[layer] = values
    case "kv_group_mask": groups[layer] = values
    default: feedForward[layer] = values
    }
  }

  private static func count(_ kind: String, _ layer: LayerSummary) -> Int? {
    switch kind {
    case "head_mask": layer.heads
    case "kv_group_mask": layer.keyValueHeads
    case "ffn_mask": layer.feedForward
    default: nil
    }
  }

  private static func unknown(_ name: String) -> CompactionError {
    let later = ["expert_mask"].contains { name == $0 || name.hasSuffix("." + $0) }
    return CompactionError(
      .unknownMask, subject: .tensor(name),
      expected: "head_mask, kv_group_mask, ffn_mask, layer_mask, vocab_mask or hidden_mask, or the name of a parameter of the model with _mask",
      found: later ? "a kind of mask that does not work yet" : "another name")
  }
}
