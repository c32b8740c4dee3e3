import PollardBase

/// The name of a part of a split file: `<stem>-00001-of-00003.gguf`.
public struct GGUFSplitName: Sendable, Hashable {
  /// What stands before the number; may hold a folder.
  public let stem: String
  /// The number of the part, from 1 on.
  public let number: Int
  /// How many parts there are.
  public let count: Int

  /// A name of a part.
  public init(stem: String, number: Int, count: Int) {
    self.stem = stem
    self.number = number
    self.count = count
  }

  /// The name that a path ends in, or nil when it does not follow the pattern.
  public init?(_ path: String) {
    // -00001-of-00003.gguf
    let tail = Array(path.utf8.suffix(20))
    guard tail.count == 20, path.utf8.count > 20, tail.suffix(5).elementsEqual(".gguf".utf8),
      tail[0] == UInt8(ascii: "-"), tail[6..<10].elementsEqual("-of-".utf8), let number = Self.digits(tail[1..<6]),
      let count = Self.digits(tail[10..<15]), number >= 1, number <= count
    else { return nil }
    self.init(stem: String(decoding: path.utf8.dropLast(20), as: UTF8.self), number: number, count: count)
  }

  /// The name with its stem.
  public var path: String { "\(stem)-\(Self.fiveDigits(number))-of-\(Self.fiveDigits(count)).gguf" }

  /// The name of another part.
  public func part(_ number: Int) -> GGUFSplitName { GGUFSplitName(stem: stem, number: number, count: count) }

  private static func digits(_ text: ArraySlice<UInt8>) -> Int? {
    guard text.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return text.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }

  private static func fiveDigits(_ value: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits
  }
}

/// The keys that tell the parts of a split file apart.
enum GGUFSplitKey {
  /// The number of the part, from 0 on; `uint16`.
  static let number = "split.no"
  /// How many parts there are; `uint16`.
  static let count = "split.count"
  /// How many tensors all parts hold; `int32`.
  static let tensorCount = "split.tensors.count"
  /// All of them in the order in which they are written.
  static let all = [number, count, tensorCount]
}
