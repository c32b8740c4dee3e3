/// Buffers that evaluation needs on the way, kept from one call to the next.
///
/// One belongs to one thread at a time. It grows to a few megabytes, whatever the size of the tensors.
public struct EvaluationScratch: ~Copyable {
  let arena = ScratchArena()

  /// Scratch without any buffers yet.
  public init() {}
}

/// A stack of buffers: each level keeps its memory when it is left.
final class ScratchArena {
  private var levels: [UnsafeMutableRawBufferPointer] = []
  private var depth = 0

  deinit { for level in levels { level.deallocate() } }

  /// A buffer of at least `byteCount` bytes, valid until the matching `leave`.
  func enter(byteCount: Int) -> UnsafeMutableRawPointer {
    let wanted = max(byteCount, 64)
    if depth == levels.count {
      levels.append(.allocate(byteCount: wanted, alignment: 64))
    } else if levels[depth].count < wanted {
      levels[depth].deallocate()
      levels[depth] = .allocate(byteCount: wanted, alignment: 64)
    }
    depth += 1
    guard let base = levels[depth - 1].baseAddress else { preconditionFailure("scratch buffers are never empty") }
    return base
  }

  /// Gives the most recently entered buffer back.
  func leave() { depth -= 1 }
}
