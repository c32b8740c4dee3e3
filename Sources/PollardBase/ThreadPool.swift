import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A fixed set of threads that run the iterations of one loop at a time.
///
/// The caller of `forEach` works too, so a pool of one thread starts none. Iterations are handed out one by one through
/// an atomic counter: which thread runs which is not defined, and results must not depend on it. A loop started while
/// another runs on the same pool (nested, or from another thread) runs inline on its caller.
///
/// Workers spin for some microseconds before they sleep, so that the short loops of one model run follow each other
/// without system calls.
public final class ThreadPool: Sendable {
  /// Threads that work on a loop, the caller included.
  public let threadCount: Int

  private let shared: SharedLoop
  private let workers: Workers

  /// Starts `threadCount - 1` threads; fewer when the system gives no more.
  public init(threadCount: Int) {
    let shared = SharedLoop()
    var workers = Workers()
    for _ in 1..<max(threadCount, 1) {
      guard let thread = startWorker(shared) else { break }
      workers.threads.append(thread)
    }
    self.shared = shared
    self.workers = workers
    self.threadCount = workers.threads.count + 1
  }

  deinit {
    shared.stop()
    for thread in workers.threads { pthread_join(thread, nil) }
  }

  /// Runs `body` for each index in `0..<count`, on all threads, and returns when all have ended.
  public func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    guard count > 1, threadCount > 1, shared.acquire() else {
      for index in 0..<max(count, 0) { body(index) }
      return
    }
    withoutActuallyEscaping(body) { shared.run(count, $0) }
    shared.release()
  }
}

/// The loop being run, and the meeting point of its threads.
private final class SharedLoop: Sendable {
  /// Set in `gate` while no worker may join; the other bits count the workers that are inside.
  private static let closed = 1 << 32
  private static let spins = 20_000

  private let busy = Atomic<Bool>(false)
  private let gate = Atomic<Int>(SharedLoop.closed)
  private let generation = Atomic<Int>(0)
  private let next = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)

  // Written by the caller before it opens the gate, read by workers after they passed it.
  private nonisolated(unsafe) var count = 0
  private nonisolated(unsafe) var body: (@Sendable (Int) -> Void)?

  private nonisolated(unsafe) let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private nonisolated(unsafe) let wakeUp: UnsafeMutablePointer<pthread_cond_t>

  init() {
    mutex = .allocate(capacity: 1)
    wakeUp = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wakeUp, nil)
  }

  deinit {
    pthread_cond_destroy(wakeUp)
    pthread_mutex_destroy(mutex)
    wakeUp.deallocate()
    mutex.deallocate()
  }

  /// Takes the pool for one loop; false when another loop has it.
  func acquire() -> Bool {
    busy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  func release() { busy.store(false, ordering: .releasing) }

  func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    self.count = count
    self.body = body
    next.store(0, ordering: .relaxed)
    gate.store(0, ordering: .releasing)
    generation.add(1, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(mutex)
      pthread_cond_broadcast(wakeUp)
      pthread_mutex_unlock(mutex)
    }
    takeIndices(count, body)
    // A worker that has not come by now is not waited for: the gate closes in front of it.
    gate.add(Self.closed, ordering: .acquiringAndReleasing)
    var turns = 0
    while gate.load(ordering: .acquiring) != Self.closed {
      turns += 1
      if turns > Self.spins { sched_yield() }
    }
    self.body = nil
  }

  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(wakeUp)
    pthread_mutex_unlock(mutex)
  }

  func work() {
    var seen = 0
    while waitForLoop(after: seen) {
      seen = generation.load(ordering: .acquiring)
      guard join() else { continue }
      if let body { takeIndices(count, body) }
      gate.subtract(1, ordering: .releasing)
    }
  }

  private func takeIndices(_ count: Int, _ body: @Sendable (Int) -> Void) {
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      if index >= count { return }
      body(index)
    }
  }

  private func join() -> Bool {
    var inside = gate.load(ordering: .relaxed)
    while inside & Self.closed == 0 {
      let attempt = gate.compareExchange(expected: inside, desired: inside + 1, ordering: .acquiringAndReleasing)
      if attempt.exchanged { return true }
      inside = attempt.original
    }
    return false
  }

  /// Waits until a loop later than `seen` has begun; false when the pool ends.
  private func waitForLoop(after seen: Int) -> Bool {
    for _ in 0..<Self.spins {
      if stopping.load(ordering: .relaxed) { return false }
      if generation.load(ordering: .acquiring) != seen { return true }
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    sleepers.add(1, ordering: .sequentiallyConsistent)
    defer { sleepers.subtract(1, ordering: .sequentiallyConsistent) }
    while generation.load(ordering: .sequentiallyConsistent) == seen {
      if stopping.load(ordering: .sequentiallyConsistent) { return false }
      pthread_cond_wait(wakeUp, mutex)
    }
    return true
  }
}

/// Thread handles, which are pointers on some systems.
private struct Workers: @unchecked Sendable {
  var threads: [pthread_t] = []
}

private func startWorker(_ shared: SharedLoop) -> pthread_t? {
  let context = Unmanaged.passRetained(shared).toOpaque()
  #if canImport(Darwin)
    var thread: pthread_t?
    let status = pthread_create(
      &thread, nil,
      { context in
        Unmanaged<SharedLoop>.fromOpaque(context).takeRetainedValue().work()
        return nil
      }, context)
  #else
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<SharedLoop>.fromOpaque(context).takeRetainedValue().work() }
        return nil
      }, context)
  #endif
  guard status == 0 else {
    Unmanaged<SharedLoop>.fromOpaque(context).release()
    return nil
  }
  return thread
}
