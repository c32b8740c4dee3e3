import PollardBase

/// Follows the instructions of a checkpoint's pickle without running anything.
///
/// The machine knows containers, numbers, texts, and the names of `PickleGlobal`; "calling" one of those gives a description of a tensor
/// or an inert value. Everything else is refused by its name. Values live in a flat table, so neither the machine nor the
/// release of what it made recurses, and all memory is bounded by a multiple of the pickle's length.
///
/// Source: CPython `Lib/pickletools.py` for the instructions, PyTorch `torch/_utils.py` for the functions.
struct PickleMachine {
  /// Longest pickle that is read; that of a model with a hundred thousand tensors has 15 MB.
  static let sizeLimit = 64 << 20
  /// Most values at once on the stack.
  static let stackLimit = 1 << 24
  /// Longest name of a class or function.
  private static let nameLimit = 1024

  private let bytes: [UInt8]
  /// Where the pickle begins in its file; 0 when it is compressed there.
  private let start: Int
  private var position = 0
  /// Where the instruction begins that is being followed.
  private var instruction = 0
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  var objects: [PickleObject] = []
  /// Members that calls have copied out of other values; a call of a few bytes may copy a long list again and again.
  private var copied = 0

  /// The value that a pickle describes.
  ///
  /// - Throws: `pickleRefused`, `pickleMalformed`, `pickleTooLarge`, `storageMismatch`, with the byte.
  /// - Complexity: O(bytes).
  static func run(_ bytes: [UInt8], start: Int = 0) throws(FormatError) -> PickleGraph {
    guard bytes.count <= sizeLimit else {
      throw FormatError(.pickleTooLarge, expected: "at most \(sizeLimit) bytes", found: "\(bytes.count) bytes")
    }
    var machine = PickleMachine(bytes, start: start)
    let root = try machine.run()
    return PickleGraph(objects: machine.objects, root: root)
  }

  private init(_ bytes: [UInt8], start: Int) {
    self.bytes = bytes
    self.start = start
  }

  private mutating func run() throws(FormatError) -> PickleValue {
    while true {
      instruction = position
      let byte = try next()
      guard let (name, action) = PickleOpcode.lookUp(byte) else {
        throw malformed("an instruction", "the byte \(byte)")
      }
      if case .stop = action {
        let root = try pop()
        guard stack.isEmpty, marks.isEmpty, position == bytes.count else {
          throw malformed("one value and the end", "more after it")
        }
        return root
      }
      do throws(FormatError) { try follow(action, name) } catch {
        var error = error
        if error.location == nil { error.location = .byte(start + instruction) }
        throw error
      }
    }
  }

  private mutating func follow(_ action: PickleOpcode.Action, _ name: String) throws(FormatError) {
    switch action {
    case .stop: break
    case .refused:
      throw FormatError(
        .pickleRefused, at: .byte(start + instruction), found: "the instruction \(name)", remedy: Self.remedy)
    case .protocolVersion:
      let version = try next()
      guard version <= 5 else { throw malformed("a protocol of at most 5", "\(version)") }
    case .frame: _ = try unsigned(8)
    case .mark: marks.append(stack.count)
    case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case .popMark: _ = try popToMark()
    case .duplicate:
      let top = try pop()
      try push(top)
      try push(top)
    case .none: try push(.none)
    case .truth(let value): try push(.truth(value))
    case .integer(let count, let signed):
      let value = try unsigned(count)
      try push(.integer(signed ? Int(Int32(truncatingIfNeeded: value)) : value))
    case .long(let lengthBytes):
      let count = try unsigned(lengthBytes)
      try push(.integer(long(count)))
    case .float:
      let raw = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      try push(.float(Double(bitPattern: raw)))
    case .text(let lengthBytes):
      let count = try unsigned(lengthBytes)
      let raw = try take(count)
      guard let text = String(validating: raw, as: UTF8.self) else { throw malformed("text in UTF-8", "other bytes") }
      try push(.text(text))
    case .bytes(let lengthBytes):
      let count = try unsigned(lengthBytes)
      try push(.bytes(Array(take(count))))
    case .emptyTuple: try push(.tuple([]))
    case .tuple:
      let members = try popToMark()
      try push(.tuple(members))
    case .smallTuple(let count):
      let members = try pop(count)
      try push(.tuple(members))
    case .emptyList: try push(.list([]))
    case .list:
      let members = try popToMark()
      try push(.list(members))
    case .emptySet: try push(.set([]))
    case .frozenSet:
      let members = try popToMark()
      try push(.set(members))
    case .emptyDictionary: try push(.dictionary([]))
    case .dictionary:
      let members = try popToMark()
      try push(.dictionary(pairs(members)))
    case .append:
      let members = try pop(1)
      try extend(with: members, name)
    case .appends, .addItems:
      let members = try popToMark()
      try extend(with: members, name)
    case .setItem:
      let members = try pop(2)
      try set(pairs(members), name)
    case .setItems:
      let members = try popToMark()
      try set(pairs(members), name)
    case .get(let count):
      let index = try unsigned(count)
      guard let value = memo[index] else { throw malformed("a value in place \(index) of the memo", "none") }
      try push(value)
    case .put(let count):
      let index = try unsigned(count)
      try remember(index)
    case .memoize: try remember(memo.count)
    case .global:
      let module = try line()
      let name = try line()
      try push(.global(global(module: module, name: name)))
    case .stackGlobal:
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw malformed("two names", "other values")
      }
      try push(.global(global(module: module, name: name)))
    case .reduce, .newObject:
      let arguments = try tuple(pop())
      let function = try pop()
      try push(call(function, arguments))
    case .newObjectWithKeywords:
      let keywords = try pop()
      guard case .object(let number) = keywords, case .dictionary(let members) = objects[number], members.isEmpty else {
        throw FormatError(.pickleRefused, found: "NEWOBJ_EX with named arguments", remedy: Self.remedy)
      }
      let arguments = try tuple(pop())
      let function = try pop()
      try push(call(function, arguments))
    case .build: try build()
    case .persistentID:
      let id = try tuple(pop())
      try push(storage(id))
    }
  }

  // MARK: Bytes

  private mutating func next() throws(FormatError) -> UInt8 {
    guard position < bytes.count else { throw endOfPickle }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func take(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= bytes.count - position else { throw endOfPickle }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private mutating func unsigned(_ count: Int) throws(FormatError) -> Int {
    let value = try take(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard let number = Int(exactly: value) else { throw malformed("a length below 2^63", "\(value)") }
    return number
  }

  /// A number in two's complement of any length; one that does not fit 64 bits is no size or step of a tensor and becomes an inert value.
  private mutating func long(_ count: Int) throws(FormatError) -> Int {
    let raw = try take(count)
    guard let last = raw.last else { return 0 }
    let isNegative = last & 0x80 != 0
    guard raw.dropFirst(8).allSatisfy({ $0 == (isNegative ? 0xFF : 0) }) else {
      throw FormatError(.pickleRefused, expected: "whole numbers below 2^63", found: "one of \(count) bytes")
    }
    var value: UInt64 = isNegative ? .max : 0
    for byte in raw.prefix(8).reversed() { value = value << 8 | UInt64(byte) }
    let number = Int(Int64(bitPattern: value))
    guard raw.count < 9 || (number < 0) == isNegative else {
      throw FormatError(.pickleRefused, expected: "whole numbers below 2^63", found: "one of \(count) bytes")
    }
    return number
  }

  private mutating func line() throws(FormatError) -> String {
    let window = bytes[position..<min(bytes.count, position + Self.nameLimit)]
    guard let end = window.firstIndex(of: 0x0A), let text = String(validating: bytes[position..<end], as: UTF8.self)
    else {
      throw malformed("a name and a line's end", "none")
    }
    position = end + 1
    return text
  }

  // MARK: Stack

  private mutating func push(_ value: PickleValue) throws(FormatError) {
    guard stack.count < Self.stackLimit else {
      throw FormatError(.pickleTooLarge, expected: "at most \(Self.stackLimit) values at once", found: "more")
    }
    stack.append(value)
  }

  private mutating func push(_ object: PickleObject) throws(FormatError) { try push(made(object)) }

  /// Puts an object into the table.
  mutating func made(_ object: PickleObject) -> PickleValue {
    objects.append(object)
    return .object(objects.count - 1)
  }

  /// Counts members that a call copies; a pickler writes each of them once, and with more than a byte.
  mutating func spend(_ count: Int) throws(FormatError) {
    copied += count
    guard copied <= bytes.count else {
      throw FormatError(
        .pickleTooLarge, expected: "values that are written once", found: "the same ones copied over and over")
    }
  }

  private mutating func pop() throws(FormatError) -> PickleValue {
    guard stack.count > (marks.last ?? 0), let value = stack.popLast() else { throw malformed("a value", "none") }
    return value
  }

  private mutating func pop(_ count: Int) throws(FormatError) -> [PickleValue] {
    guard stack.count - count >= (marks.last ?? 0) else { throw malformed("\(count) values", "fewer") }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(FormatError) -> [PickleValue] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw malformed("a mark", "none") }
    defer { stack.removeLast(stack.count - mark) }
    return Array(stack[mark...])
  }

  private mutating func remember(_ index: Int) throws(FormatError) {
    guard let top = stack.last, stack.count > (marks.last ?? 0) else { throw malformed("a value", "none") }
    // A pickler numbers its values one after the other, and each takes a byte at least.
    guard index < bytes.count else {
      throw FormatError(.pickleRefused, expected: "a memo of at most \(bytes.count) values", found: "place \(index)")
    }
    memo[index] = top
  }

  private func pairs(_ values: [PickleValue]) throws(FormatError) -> [(key: PickleValue, value: PickleValue)] {
    guard values.count % 2 == 0 else { throw malformed("keys with values", "an odd number of values") }
    return stride(from: 0, to: values.count, by: 2).map { (key: values[$0], value: values[$0 + 1]) }
  }

  func tuple(_ value: PickleValue) throws(FormatError) -> [PickleValue] {
    guard case .object(let number) = value, case .tuple(let members) = objects[number] else {
      throw malformed("a tuple", "another value")
    }
    return members
  }

  // MARK: Containers

  private mutating func extend(with values: [PickleValue], _ name: String) throws(FormatError) {
    guard case .object(let number)? = stack.last, stack.count > (marks.last ?? 0) else {
      throw malformed("a list", "another value")
    }
    // Taken out of the table first, so that the array is not copied.
    switch objects[number] {
    case .list(var members) where name != "ADDITEMS":
      objects[number] = .list([])
      members.append(contentsOf: values)
      objects[number] = .list(members)
    case .set(var members) where name == "ADDITEMS":
      objects[number] = .set([])
      members.append(contentsOf: values)
      objects[number] = .set(members)
    case .inert: break
    default: throw malformed("a list or set for \(name)", objects[number].kind)
    }
  }

  private mutating func set(
    _ pairs: [(key: PickleValue, value: PickleValue)], _ name: String
  ) throws(FormatError) {
    guard case .object(let number)? = stack.last, stack.count > (marks.last ?? 0),
      case .dictionary(var members) = objects[number]
    else {
      throw malformed("a dictionary for \(name)", "another value")
    }
    objects[number] = .dictionary([])
    members.append(contentsOf: pairs)
    objects[number] = .dictionary(members)
  }

  private mutating func build() throws(FormatError) {
    _ = try pop()
    guard case .object(let number)? = stack.last, stack.count > (marks.last ?? 0) else {
      throw FormatError(
        .pickleRefused, found: "BUILD, which sets attributes, on a value that has none", remedy: Self.remedy)
    }
    switch objects[number] {
    // Attributes of these, such as a state dictionary's `_metadata`, say nothing about tensors.
    case .dictionary, .inert: break
    default:
      throw FormatError(
        .pickleRefused, found: "BUILD, which sets attributes, on \(objects[number].kind)", remedy: Self.remedy)
    }
  }

  // MARK: Errors

  static let remedy =
    "if you trust the file, load it in PyTorch and save its state_dict() again, best as safetensors"

  private var endOfPickle: FormatError { malformed("another instruction", "the end") }

  func malformed(_ expected: String, _ found: String) -> FormatError {
    FormatError(.pickleMalformed, at: .byte(start + instruction), expected: expected, found: found)
  }
}
