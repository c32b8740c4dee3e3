import PollardBase
import TensorStorage

extension PickleMachine {
  /// The meaning of a name.
  ///
  /// - Throws: `pickleRefused`, with the name and what to do, for everything that is not on the list.
  func global(module: String, name: String) throws(FormatError) -> PickleGlobal {
    if let global = PickleGlobal(module: module, name: name) { return global }
    let found = "\(module).\(name)"
    let isModel =
      module.hasPrefix("torch.nn.modules") || module.hasPrefix("transformers.") || module.hasPrefix("torchvision.")
      || module.hasPrefix("timm.") || module.hasPrefix("sentence_transformers.") || module.hasPrefix("textpruner.")
    throw FormatError(
      .pickleRefused, expected: "tensors, numbers, texts and containers", found: found,
      remedy: isModel
        ? "the file holds a whole module; save only its tensors: torch.save(model.state_dict(), …) or model.save_pretrained(…)"
        : Self.remedy)
  }

  /// What a call of an allowed name stands for.
  mutating func call(_ function: PickleValue, _ arguments: [PickleValue]) throws(FormatError) -> PickleValue {
    guard case .global(let global) = function else {
      throw FormatError(.pickleRefused, found: "a call of a value that is no name", remedy: Self.remedy)
    }
    switch global {
    case .rebuildTensor(let version): return made(try tensor(version, arguments))
    case .rebuildParameter:
      guard let tensor = arguments.first, case .object(let number) = tensor else { throw malformed("a tensor", "none") }
      switch objects[number] {
      case .tensor, .unreadableTensor: return tensor
      default: throw malformed("a tensor", objects[number].kind)
      }
    case .rebuildFromType:
      guard arguments.count == 4, case .global(let inner) = arguments[0], case .global(.tensorClass) = arguments[1]
      else {
        throw FormatError(.pickleRefused, found: "a tensor of a Python subclass", remedy: Self.remedy)
      }
      switch inner {
      case .rebuildTensor, .rebuildParameter, .rebuildUnreadable: return try call(arguments[0], tuple(arguments[2]))
      default: throw FormatError(.pickleRefused, found: "a tensor made by another function", remedy: Self.remedy)
      }
    case .rebuildUnreadable(let kind): return made(.unreadableTensor(kind))
    case .dictionaryClass: return made(.dictionary(try members(arguments)))
    case .setClass, .tupleClass:
      var values: [PickleValue] = []
      if let argument = arguments.first {
        guard arguments.count == 1, case .object(let number) = argument else {
          throw malformed("values", "another value")
        }
        switch objects[number] {
        case .list(let list), .tuple(let list), .set(let list): values = list
        default: throw malformed("a list", objects[number].kind)
        }
      }
      return made(global == .setClass ? .set(values) : .tuple(values))
    case .inert(let name): return made(.inert(name))
    case .storageClass, .unreadable, .elementType, .tensorClass:
      throw FormatError(.pickleRefused, found: "a call of a type, \(global)", remedy: Self.remedy)
    }
  }

  /// The members a dictionary is made with: none, another dictionary, or a list of pairs, after the factory of a `defaultdict`.
  private mutating func members(_ arguments: [PickleValue]) throws(FormatError) -> [(
    key: PickleValue, value: PickleValue
  )] {
    guard let last = arguments.last, case .object(let number) = last else { return [] }
    switch objects[number] {
    case .dictionary(let members): return members
    case .list(let items), .tuple(let items):
      try spend(items.count)
      var members: [(key: PickleValue, value: PickleValue)] = []
      for item in items {
        guard case .object(let number) = item else { throw malformed("a key with a value", "another value") }
        switch objects[number] {
        case .list(let pair) where pair.count == 2, .tuple(let pair) where pair.count == 2:
          members.append((key: pair[0], value: pair[1]))
        default: throw malformed("a key with a value", objects[number].kind)
        }
      }
      return members
    default: throw malformed("the members of a dictionary", objects[number].kind)
    }
  }

  /// The storage that a persistent id names: `("storage", class, key, location, number of elements)`.
  func storage(_ id: [PickleValue]) throws(FormatError) -> PickleObject {
    guard id.count == 5, case .text("storage") = id[0], case .text(let key) = id[2], case .text(let location) = id[3],
      case .integer(let count) = id[4], count >= 0
    else { throw malformed("a storage's class, key, place and size", "another persistent id") }
    if location == "meta" { return .unreadableTensor("a tensor without data (device meta)") }
    switch id[1] {
    case .global(.storageClass(let type)): return .storage(StorageReference(key: key, type: type, count: count))
    case .global(.unreadable(let kind)): return .unreadableTensor(kind)
    default: throw malformed("a storage's class", "another value")
    }
  }

  /// The tensor of `_rebuild_tensor`'s arguments: storage, start, extents, steps; from version 2 on requires_grad and hooks; in version 3 the
  /// element type; last what the tensor is marked with.
  private mutating func tensor(_ version: Int, _ arguments: [PickleValue]) throws(FormatError) -> PickleObject {
    let least = [4, 6, 7][version - 1]
    guard arguments.count == least || (version > 1 && arguments.count == least + 1),
      case .object(let number) = arguments[0],
      case .integer(let offset) = arguments[1]
    else { throw malformed("the arguments of a tensor", "others") }
    let (extents, strides) = (try integers(arguments[2]), try integers(arguments[3]))
    try spend(extents.count)
    if arguments.count > least, case .object(let marks) = arguments[least],
      case .dictionary(let members) = objects[marks]
    {
      for member in members {
        guard case .text(let name) = member.key, name == "conj" || name == "neg", member.value == .truth(true) else {
          continue
        }
        return .unreadableTensor("a lazily \(name == "conj" ? "conjugated" : "negated") tensor")
      }
    }
    guard case .storage(let storage) = objects[number] else {
      if case .unreadableTensor(let kind) = objects[number] { return .unreadableTensor(kind) }
      throw malformed("a storage", objects[number].kind)
    }
    var type = storage.type
    if version == 3 {
      switch arguments[6] {
      case .global(.elementType(let stated)): type = stated
      case .global(.unreadable(let kind)): return .unreadableTensor(kind)
      default: throw malformed("an element type", "another value")
      }
    }
    guard let type else { throw malformed("a storage of a type", "one of bytes") }
    return .tensor(try StridedTensor(storage: storage, type: type, offset: offset, extents: extents, strides: strides))
  }

  private func integers(_ value: PickleValue) throws(FormatError) -> [Int] {
    var numbers: [Int] = []
    for member in try tuple(value) {
      guard case .integer(let number) = member else { throw malformed("whole numbers", "another value") }
      numbers.append(number)
    }
    return numbers
  }
}
