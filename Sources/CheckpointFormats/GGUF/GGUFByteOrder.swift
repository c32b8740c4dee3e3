import TensorStorage

/// In which order a GGUF file has the bytes of numbers.
public enum GGUFByteOrder: Sendable, Hashable {
  /// Least significant byte first; nearly every file.
  case little
  /// Most significant byte first. Only in version 3.
  case big
}

extension BlockFormat {
  /// The fields of a block that big-endian files swap, or nil when that is not defined for the format.
  ///
  /// Packed elements stay as they are. Source: the swapping script of gguf-py.
  var swappedFields: [Range<Int>]? {
    switch self {
    case .q4_0, .q8_0, .q1_0: [0..<2]
    case .q4_k: [0..<2, 2..<4]
    case .q6_k: [208..<210]
    case .tq2_0: [64..<66]
    case .mxfp4, .nvfp4: []
    default: nil
    }
  }

  /// Where each byte of a block in one order is found in the other, or nil when that is not defined for the format.
  var byteOrderPermutation: [Int]? {
    guard let swappedFields else { return nil }
    var permutation = Array(0..<bytesPerBlock)
    for field in swappedFields { permutation[field].reverse() }
    return permutation
  }
}
