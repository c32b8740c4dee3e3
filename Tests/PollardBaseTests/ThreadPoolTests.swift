import PollardBase
import Synchronization
import Testing

private final class Counters: Sendable {
  let total = Atomic<Int>(0)
  let sum = Atomic<Int>(0)

  func add(_ index: Int) {
    total.add(1, ordering: .relaxed)
    sum.add(index, ordering: .relaxed)
  }
}

@Suite("Thread pool")
struct ThreadPoolTests {
  @Test("runs every index exactly once, loop after loop", arguments: [1, 2, 3, 8])
  func everyIndexOnce(threads: Int) {
    let pool = ThreadPool(threadCount: threads)
    #expect(pool.threadCount == threads)
    for loop in 0..<5000 {
      let count = loop % 23
      let counters = Counters()
      pool.forEach(count) { counters.add($0) }
      let found = (counters.total.load(ordering: .relaxed), counters.sum.load(ordering: .relaxed))
      guard found == (count, count * (count - 1) / 2) else {
        Issue.record("loop \(loop) of \(count) ran \(found.0) indices")
        return
      }
    }
  }

  @Test("runs a loop inside a loop on its caller")
  func nested() {
    let pool = ThreadPool(threadCount: 4)
    let counters = Counters()
    for _ in 0..<200 {
      pool.forEach(6) { _ in pool.forEach(5) { counters.add($0) } }
    }
    #expect(counters.total.load(ordering: .relaxed) == 200 * 30)
  }

  @Test("serves several callers at once")
  func concurrentCallers() async {
    let pool = ThreadPool(threadCount: 3)
    let counters = Counters()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask { for _ in 0..<300 { pool.forEach(7) { counters.add($0) } } }
      }
    }
    #expect(counters.total.load(ordering: .relaxed) == 4 * 300 * 7)
  }

  @Test("ends its threads when it goes away")
  func ending() {
    for _ in 0..<200 {
      let counters = Counters()
      ThreadPool(threadCount: 4).forEach(9) { counters.add($0) }
      #expect(counters.total.load(ordering: .relaxed) == 9)
    }
  }
}
