#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import Synchronization

/// Runs the steps of a loop on several threads.
public final class ThreadPool: Sendable {
  /// The number of threads that work at the same time, the caller's included.
  public let threadCount: Int

  /// A pool of `threadCount` threads, one of which is the caller of `forEach`.
  public init(threadCount: Int) {
    precondition(threadCount >= 1, "a pool has at least one thread")
    self.threadCount = threadCount
  }

  /// Calls `body` once for each index below `count`, in no particular order, and returns when all calls have returned.
  public func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let helpers = min(threadCount, count) - 1
    if helpers <= 0 {
      for index in 0..<max(0, count) { body(index) }
      return
    }
    withoutActuallyEscaping(body) { body in
      let loop = Loop(count: count, body: body)
      var threads: [pthread_t] = []
      for _ in 0..<helpers {
        let context = Unmanaged.passRetained(loop)
        #if canImport(Darwin)
          var thread: pthread_t?
          let status = pthread_create(
            &thread, nil,
            {
              Unmanaged<Loop>.fromOpaque($0).takeRetainedValue().run(); return nil
            }, context.toOpaque())
          if status == 0, let thread { threads.append(thread) } else { context.release() }
        #else
          var thread = pthread_t()
          let status = pthread_create(
            &thread, nil,
            { argument in
              if let argument { Unmanaged<Loop>.fromOpaque(argument).takeRetainedValue().run() }
              return nil
            }, context.toOpaque())
          if status == 0 { threads.append(thread) } else { context.release() }
        #endif
      }
      loop.run()
      for thread in threads { pthread_join(thread, nil) }
    }
  }

  private final class Loop: Sendable {
    let count: Int
    let body: @Sendable (Int) -> Void
    let next = Atomic<Int>(0)

    init(count: Int, body: @escaping @Sendable (Int) -> Void) {
      self.count = count
      self.body = body
    }

    func run() {
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if index >= count { return }
        body(index)
      }
    }
  }
}
