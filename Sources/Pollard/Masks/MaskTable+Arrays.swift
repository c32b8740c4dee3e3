import GraphCompaction
import ModelArchitectures
import PollardBase
import TensorStorage

extension MaskArrays {
  /// What wrote masks of units, in words; nil for arrays under their own names.
  var unitConvention: String? {
    if isPair { return "TextPruner's tuple of head and neuron masks" }
    return GateConvention.recognizes(self) ? GateConvention.phrase : nil
  }
}

extension Model {
  /// The convention of a mask file of units, in words; nil for files under their own names.
  ///
  /// - Throws: what reading the file throws.
  func maskConvention(of path: String) throws -> String? { try MaskArrays(file: path)?.unitConvention }
}

extension MaskTable {
  /// Reads masks from arrays: `head_mask [layers, heads]`, `kv_group_mask [layers, key/value heads]` and `ffn_mask [layers, neurons]`, or the
  /// same per layer as `layers.<i>.<name>` with one axis; `layer_mask [layers]`, `vocab_mask [tokens]`, `hidden_mask [channels]`; TextPruner's pair; CoFi's gates.
  ///
  /// - Throws: `unknownMask`, `maskShape`, `maskValue`, with the file's path.
  init(_ masks: MaskArrays, layers: [LayerSummary]) throws {
    self.init(layerCount: layers.count)
    if GateConvention.recognizes(masks) {
      let gates = try GateConvention(masks, layers: layers)
      heads = gates.heads
      feedForward = gates.neurons
      return
    }
    for (name, weight) in masks.arrays {
      let name = masks.isPair ? (name == "0" ? "head_mask" : "ffn_mask") : name
      guard weight.type.canBeCast(to: .f32) else {
        throw CompactionError(
          .unknownMask, file: masks.path, subject: .tensor(name), expected: "numbers or truth values",
          found: "\(weight.type)")
      }
      let values = try weight.cast(to: .f32).floats()
      guard values.allSatisfy(\.isFinite) else {
        throw CompactionError(.maskValue, file: masks.path, subject: .tensor(name), found: "NaN or infinity")
      }
      do throws(CompactionError) { try read(name, weight.shape, values, layers: layers) } catch {
        throw error.inFile(masks.path)
      }
    }
    if let text = masks.hiddenNorm {
      do throws(CompactionError) { try readHiddenNorm(text) } catch { throw error.inFile(masks.path) }
    }
    guard !masks.arrays.isEmpty else {
      throw CompactionError(
        .unknownMask, file: masks.path,
        expected: "head_mask, kv_group_mask, ffn_mask, layer_mask, vocab_mask or hidden_mask", found: "no arrays")
    }
  }
}
