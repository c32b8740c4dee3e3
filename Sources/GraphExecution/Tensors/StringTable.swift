import Synchronization

/// Strings by number, so that tensors of strings are tensors of numbers. Each is kept once, for the life of the process.
enum StringTable {
  private struct State {
    var numbers: [[UInt8]: Int64] = [:]
    var strings: [[UInt8]] = []
    var byteCount = 0
  }

  private static let state = Mutex(State())

  /// The bytes of all strings.
  static var byteCount: Int { state.withLock { $0.byteCount } }

  /// The number of a string of bytes; equal strings have equal numbers.
  static func number(of string: [UInt8]) -> Int64 {
    state.withLock { state in
      if let found = state.numbers[string] { return found }
      let number = Int64(state.strings.count)
      state.strings.append(string)
      state.byteCount += string.count
      state.numbers[string] = number
      return number
    }
  }

  /// The string of a number that `number(of:)` gave.
  static func string(_ number: Int64) -> [UInt8] {
    state.withLock { state in
      Int(exactly: number).flatMap { state.strings.indices.contains($0) ? state.strings[$0] : nil } ?? []
    }
  }
}
