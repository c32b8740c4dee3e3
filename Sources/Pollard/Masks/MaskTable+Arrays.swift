import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import PollardBase
import TensorStorage

/// Mask arrays of a NumPy or PyTorch file under the names of a mask file, and the convention they were found in.
struct ArrayMasks {
  /// What wrote such files, in words; nil for arrays under their own names.
  var convention: String?
  /// Arrays by the names `head_mask`, `kv_group_mask`, `ffn_mask` or `layers.<i>.<name>`.
  var arrays: [(name: String, weight: Weight)]
}

extension ArrayMasks {
  /// The masks of a file; nil for files that are neither NumPy's nor PyTorch's.
  ///
  /// - Throws: what reading the file throws, `unknownMask` for PyTorch files of no known convention.
  init?(_ source: FileSource, layers: [LayerSummary]) throws {
    if try NumPyFile.recognizes(source) {
      convention = nil
      arrays = try NumPyFile(source).arrays
    } else if try PyTorchFile.recognizes(source) {
      let file = try PyTorchFile(source)
      try file.checkStorages(pool: ThreadPool(threadCount: 1))
      self = try TorchMaskConvention.read(file, layers: layers)
    } else {
      return nil
    }
  }
}

extension Model {
  /// The convention of a mask file, in words; nil for files under their own names.
  ///
  /// - Throws: what reading the file throws.
  func maskConvention(of path: String) throws -> String? {
    try ArrayMasks(FileSource(path: path), layers: layers)?.convention
  }
}

extension MaskTable {
  /// Reads masks from arrays.
  ///
  /// - Throws: `unknownMask`, `maskShape`, `maskValue`, with the file's path.
  init(arrays masks: ArrayMasks, file path: String, layers: [LayerSummary]) throws {
    self.init(layerCount: layers.count)
    for (name, weight) in masks.arrays {
      guard weight.type.canBeCast(to: .f32) else {
        throw CompactionError(
          .unknownMask, file: path, subject: .tensor(name), expected: "numbers or truth values", found: "\(weight.type)"
        )
      }
      let values = try weight.cast(to: .f32).floats()
      guard values.allSatisfy(\.isFinite) else {
        throw CompactionError(.maskValue, file: path, subject: .tensor(name), found: "NaN or infinity")
      }
      do throws(CompactionError) { try read(name, weight.shape, values, layers: layers) } catch {
        throw error.inFile(path)
      }
    }
    guard !masks.arrays.isEmpty else {
      throw CompactionError(
        .unknownMask, file: path, expected: "head_mask, kv_group_mask, ffn_mask, layer_mask or hidden_mask", found: "no arrays")
    }
  }
}
