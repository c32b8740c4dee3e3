import PollardBase
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory of one tensor, or of several that look at the same elements.
///
/// Written only by the evaluator that made it, before anyone else sees it.
final class TensorBuffer: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let capacity: Int
  private let origin: BufferPool?

  /// Memory of at least one byte, aligned to a cache line. Its content is undefined.
  init(byteCount: Int, from pool: BufferPool? = nil) {
    capacity = BufferPool.rounded(max(byteCount, 1))
    origin = pool
    base = pool?.take(capacity) ?? BufferPool.allocate(capacity)
  }

  deinit {
    if let origin { origin.give(base, capacity) } else { base.deallocate() }
  }
}

/// Memory that was given back and waits for the next tensor of its size.
///
/// Buffers that no tensor of a whole run wanted are freed at its end, and large ones when others are needed, so the pool follows the sizes
/// in use: what a run takes is about what its tensors take where most of them are alive.
final class BufferPool: Sendable {
  /// Memory that nobody looks at.
  private struct Entry: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let round: Int
  }

  private struct State: Sendable {
    var free: [Int: [Entry]] = [:]
    var round = 0
  }

  private let state = Mutex(State())

  deinit {
    state.withLock { state in
      for entries in state.free.values { for entry in entries { entry.base.deallocate() } }
    }
  }

  /// A size that several near sizes share: an eighth of a power of two.
  static func rounded(_ byteCount: Int) -> Int {
    let step = max(64, 1 << max(0, Int.bitWidth - byteCount.leadingZeroBitCount - 4))
    return (byteCount + step - 1) / step * step
  }

  static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer {
    let hugePage = 1 << 21
    let base = UnsafeMutableRawPointer.allocate(
      byteCount: capacity, alignment: capacity >= 2 * hugePage ? hugePage : 64)
    #if canImport(Glibc)
      if capacity >= 2 * hugePage { madvise(base, capacity, MADV_HUGEPAGE) }
    #endif
    return base
  }

  /// Buffers of this size or more are freed for each other.
  private static let largeBytes = 4 << 20

  func take(_ capacity: Int) -> UnsafeMutableRawPointer {
    if let known = state.withLock({ $0.free[capacity]?.popLast() }) { return known.base }
    if capacity >= Self.largeBytes { makeRoom(capacity) }
    return Self.allocate(capacity)
  }

  /// Frees large buffers that wait, up to what is about to be taken: so the pool grows only where the tensors in use do.
  private func makeRoom(_ wanted: Int) {
    state.withLock { state in
      var freed = 0
      for capacity in state.free.keys.filter({ $0 >= Self.largeBytes }).sorted(by: >) {
        while freed < wanted, let entry = state.free[capacity]?.popLast() {
          entry.base.deallocate()
          freed += capacity
        }
      }
    }
  }

  func give(_ base: UnsafeMutableRawPointer, _ capacity: Int) {
    let address = UInt(bitPattern: base)
    state.withLock { state in
      guard let base = UnsafeMutableRawPointer(bitPattern: address) else { return }
      state.free[capacity, default: []].append(Entry(base: base, round: state.round))
    }
  }

  /// Ends a run: frees what no tensor of this run used.
  func endRound() {
    state.withLock { state in
      for (capacity, entries) in state.free {
        let stale = entries.filter { $0.round < state.round }
        if stale.isEmpty { continue }
        for entry in stale { entry.base.deallocate() }
        state.free[capacity] = entries.filter { $0.round == state.round }
      }
      state.round += 1
    }
  }
}
