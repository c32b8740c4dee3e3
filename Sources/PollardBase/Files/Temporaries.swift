#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import Synchronization

/// Names of unfinished outputs, and what becomes of those whose process was killed.
///
/// An output `NAME` is built in the same folder as `.NAME.pollard-<process>-<random>.tmp`, under an advisory lock.
package enum Temporaries {
  private static let marker = ".pollard-"
  private static let suffix = ".tmp"
  /// File systems limit names to 255 bytes; the decoration takes at most 56 of them.
  private static let longestKeptName = 180

  /// Paths of outputs this process is building.
  private static let unfinished = Mutex<Set<String>>([])
  private static let isEnding = Atomic<Bool>(false)

  /// A fresh path for building an output.
  package static func path(for output: String) -> String {
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    let name = "." + keptName(output) + marker + "\(getpid())-" + random + suffix
    let path = Paths.join(Paths.parent(output), name)
    unfinished.withLock { _ = $0.insert(path) }
    waitForTheEnd()
    return path
  }

  /// Notes that an output is published or removed.
  package static func forget(_ path: String) { unfinished.withLock { _ = $0.remove(path) } }

  /// Removes the outputs this process is building, for a program that ends before they are done.
  ///
  /// Other threads may still be writing: a folder that gets another file while it is emptied is emptied again. Nothing may be published
  /// afterwards.
  package static func removeUnfinished() {
    isEnding.store(true, ordering: .sequentiallyConsistent)
    unfinished.withLock { paths in
      for path in paths {
        for _ in 0..<1000 where Directories.kind(of: path, followingLinks: false) != nil {
          if (try? Directories.remove(path)) == nil { usleep(1000) }
        }
      }
      paths = []
    }
  }

  /// Never returns once `removeUnfinished()` has begun: what fails from then on fails because of it, and the program ends by its signal.
  package static func waitForTheEnd() {
    while isEnding.load(ordering: .sequentiallyConsistent) { pause() }
  }

  /// Removes what killed runs left behind for one output, and gives the paths.
  ///
  /// A temporary is stale when its process no longer lives and nobody holds its lock. What cannot be removed stays.
  @discardableResult
  package static func removeStale(for output: String) -> [String] {
    let folder = Paths.parent(output)
    let prefix = "." + keptName(output) + marker
    guard let names = try? Directories.names(in: folder) else { return [] }
    var removed: [String] = []
    for name in names where name.hasPrefix(prefix) && name.hasSuffix(suffix) {
      let path = Paths.join(folder, name)
      guard let process = processNumber(name.dropFirst(prefix.count)), isStale(path, process: process) else { continue }
      if (try? Directories.remove(path)) != nil { removed.append(path) }
    }
    return removed
  }

  /// Whether a name is one of an unfinished output.
  package static func isTemporary(_ name: String) -> Bool {
    name.hasPrefix(".") && name.contains(marker) && name.hasSuffix(suffix)
  }

  private static func keptName(_ output: String) -> String {
    var name = Paths.lastComponent(output)
    while name.utf8.count > longestKeptName { name.removeLast() }
    return name
  }

  private static func processNumber(_ rest: Substring) -> pid_t? {
    guard let dash = rest.utf8.firstIndex(of: UInt8(ascii: "-")) else { return nil }
    return pid_t(String(rest[..<dash]))
  }

  private static func isStale(_ path: String, process: pid_t) -> Bool {
    guard process > 0, kill(process, 0) != 0, errno == ESRCH else { return false }
    // A process of another container may have the number of none here; its lock shows that it lives.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
  }
}
