/// A value of a pickle. Containers are numbers into a table, so that values which hold each other, or themselves, cost nothing.
package enum PickleValue: Sendable, Hashable {
  case none
  case truth(Bool)
  case integer(Int)
  case float(Double)
  case text(String)
  case bytes([UInt8])
  /// A name from the allowlist.
  case global(PickleGlobal)
  /// A container or tensor of the table.
  case object(Int)
}

/// A container, tensor or storage of a pickle.
package enum PickleObject: Sendable {
  case list([PickleValue])
  case tuple([PickleValue])
  case set([PickleValue])
  case dictionary([(key: PickleValue, value: PickleValue)])
  case storage(StorageReference)
  case tensor(StridedTensor)
  /// A tensor of a kind that is not read, with the kind's name.
  case unreadableTensor(String)
  /// Data that is of no use here, such as a NumPy scalar, by its class.
  case inert(String)

  var kind: String {
    switch self {
    case .list: "a list"
    case .tuple: "a tuple"
    case .set: "a set"
    case .dictionary: "a dictionary"
    case .storage: "a storage"
    case .tensor: "a tensor"
    case .unreadableTensor(let kind): kind
    case .inert(let name): name
    }
  }
}

/// What a pickle describes: a table of containers and tensors, and the value it ends with.
package struct PickleGraph: Sendable {
  package let objects: [PickleObject]
  package let root: PickleValue

  /// The object behind a value, if it is one.
  package subscript(value: PickleValue) -> PickleObject? {
    if case .object(let number) = value { objects[number] } else { nil }
  }
}
