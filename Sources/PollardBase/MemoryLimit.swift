#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How much memory this process may have.
package enum MemoryLimit {
  /// The least of the machine's memory, the limits of the process's control groups (Linux, versions 1 and 2) and its limit of address space, in bytes.
  package static let bytes: Int = {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let size = sysconf(Int32(_SC_PAGESIZE))
    let (machine, overflow) = Int(pages).multipliedReportingOverflow(by: Int(size))
    let known = pages > 0 && size > 0 && !overflow ? machine : 1 << 34
    return ([known] + controlGroups() + [addressSpace()].compactMap { $0 }).min() ?? known
  }()

  /// The limit of address space; nil where there is none.
  private static func addressSpace() -> Int? {
    var limit = rlimit()
    #if canImport(Glibc)
      let status = getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    #else
      let status = getrlimit(RLIMIT_AS, &limit)
    #endif
    guard status == 0, limit.rlim_cur < rlim_t(1) << 62 else { return nil }
    return Int(limit.rlim_cur)
  }

  /// The limits of the process's control group and of those around it.
  private static func controlGroups() -> [Int] {
    #if os(Linux)
      var found: [Int] = []
      for line in (text(of: "/proc/self/cgroup") ?? "").split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { continue }
        let isOlder = parts[1].split(separator: ",").contains("memory")
        guard isOlder || parts[0] == "0" else { continue }
        let root = isOlder ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup"
        let file = isOlder ? "memory.limit_in_bytes" : "memory.max"
        var steps = parts[2].split(separator: "/")
        while true {
          let path = ([root] + steps.map(String.init) + [file]).joined(separator: "/")
          if let limit = limit(text(of: path)) { found.append(limit) }
          if steps.isEmpty { break }
          steps.removeLast()
        }
      }
      return found
    #else
      return []
    #endif
  }

  /// A limit as control groups write it; nil for `max` and for what is not there.
  package static func limit(_ text: String?) -> Int? {
    guard let text, let line = text.split(separator: "\n").first, let value = Int(line), value > 0 else { return nil }
    return value
  }

  /// The first bytes of a file of the system, whose size cannot be asked for.
  private static func text(of path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { _ = close(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
    return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
  }
}
