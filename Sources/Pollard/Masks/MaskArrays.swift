import CheckpointFormats
import PollardBase
import TensorStorage

/// The arrays of a mask file: safetensors, NumPy or PyTorch.
struct MaskArrays {
  /// The file's path.
  let path: String
  /// The arrays under the names that the file gives them.
  let arrays: [(name: String, weight: Weight)]
  /// Whether the file holds a tuple of two, whose members are called `0` and `1`.
  let isPair: Bool
  /// What a safetensors file says beside `hidden_mask` of the norms of the masked model.
  let hiddenNorm: String?

  /// Opens a file; nil for one whose first character is a brace, which is JSON.
  ///
  /// - Throws: what reading the file throws.
  init?(file path: String) throws {
    self.path = path
    let source = try FileSource(path: path)
    let start = try source.bytes(0..<min(source.size, 64)).first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
    if start == UInt8(ascii: "{") { return nil }
    var isPair = false
    var hiddenNorm: String?
    if try NumPyFile.recognizes(source) {
      arrays = try NumPyFile(source).arrays
    } else if try PyTorchFile.recognizes(source) {
      let file = try PyTorchFile(source)
      try file.checkStorages(pool: ThreadPool(threadCount: 1))
      if case .tuple(let members)? = file.graph[file.graph.root], members.count == 2 {
        isPair = file.tensors.allSatisfy { $0.name == "0" || $0.name == "1" }
      }
      arrays = try file.tensors.compactMap { tensor in
        try file.weight(tensor.name).map { (name: tensor.name, weight: $0) }
      }
    } else {
      let file = try SafetensorsFile(source)
      arrays = file.tensors.map { ($0.name, file.weight($0)) }
      hiddenNorm = file.metadata?["hidden_norm"]
    }
    self.isPair = isPair
    self.hiddenNorm = hiddenNorm
  }

  /// Whether a name is that of a mask of units.
  static func isOfUnits(_ name: String) -> Bool {
    let kinds = ["head_mask", "kv_group_mask", "ffn_mask", "expert_mask", "layer_mask", "vocab_mask", "hidden_mask"]
    return kinds.contains { kind in
      name == kind || (name.hasPrefix("layers.") && name.hasSuffix("." + kind) && name.split(separator: ".").count == 3)
    }
  }
}

extension Weight {
  /// Looks at the numbers of a tensor, a chunk at a time.
  func forEachFloatChunk(_ body: (UnsafeBufferPointer<Float>) throws -> Void) throws {
    let count = shape.elementCount
    let step = 1 << 20
    var scratch = EvaluationScratch()
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, min(step, count)))
    defer { buffer.deallocate() }
    for start in stride(from: 0, to: count, by: step) {
      let end = min(count, start + step)
      let part = UnsafeMutableBufferPointer(rebasing: buffer[..<(end - start)])
      try readFloats(elements: start..<end, into: part, scratch: &scratch)
      try body(UnsafeBufferPointer(part))
    }
  }
}
