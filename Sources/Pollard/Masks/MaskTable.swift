import GraphCompaction
import ModelArchitectures
import PollardBase

/// The masks of a file, layer by layer; 1 keeps a unit, 0 removes it, anything else multiplies it.
struct MaskTable {
  /// Query heads of each layer, nil where the file says nothing.
  var heads: [[Float]?]
  /// Key/value heads, each with all its query heads.
  var groups: [[Float]?]
  /// Feed-forward neurons.
  var feedForward: [[Float]?]
  /// The tokens of the vocabulary; nil where the file says nothing of them.
  var vocabulary: [Float]?
  /// Positions of tensors that go.
  var tensors: [TensorAxisMask] = []
  /// The residual channels; nil where the file says nothing.
  var channels: Channels?
  /// Whole layers, counted through all stacks.
  var layers = LayerChoice.all

  /// Which layers stay.
  enum LayerChoice {
    /// All of them.
    case all
    /// Those whose number is 1.
    case mask([Float])
    /// Those in a list, or all but those.
    case list([Int], removes: Bool)
  }

  /// A table that says nothing.
  init(layerCount: Int) {
    heads = Array(repeating: nil, count: layerCount)
    groups = heads
    feedForward = heads
  }

  /// Keeps what is said of some places in the list of layers, in their order.
  mutating func keep(_ places: [Int]) {
    heads = places.map { heads[$0] }
    groups = places.map { groups[$0] }
    feedForward = places.map { feedForward[$0] }
  }

  /// Forgets what is said of a layer's heads.
  mutating func forgetHeads(_ layer: Int) {
    heads[layer] = nil
    groups[layer] = nil
  }

  /// Forgets what is said of a layer's neurons.
  mutating func forgetNeurons(_ layer: Int) { feedForward[layer] = nil }

  /// Reads a mask file: JSON when its first character is a brace, NumPy or PyTorch by their first bytes, else safetensors.
  ///
  /// - Throws: `unknownMask`, `maskShape`, `maskValue`, `maskIndex`, `maskVerb`, and what reading the file throws.
  init(file path: String, layers: [LayerSummary]) throws {
    if let arrays = try MaskArrays(file: path) {
      try self.init(arrays, layers: layers)
      return
    }
    do throws(CompactionError) {
      try self.init(json: try readJSON(path), layers: layers)
    } catch { throw error.inFile(path) }
  }

  /// The mask as the compaction pass takes it.
  var unitMask: UnitMask { UnitMask(heads: heads, groups: groups, ffn: feedForward, tensors: tensors) }
}

/// A JSON file, its problems told as a request's.
private func readJSON(_ path: String) throws(CompactionError) -> JSONValue {
  do throws(FormatError) { return try JSONValue(file: path) } catch {
    throw CompactionError(.unknownMask, file: path, expected: "a JSON object", found: error.description)
  }
}
