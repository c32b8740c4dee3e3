/// The instructions of Python's pickle language, protocols 0 to 5.
///
/// Those that build data are followed; those that call into Python, import by code, or exist in text form only are refused by name.
enum PickleOpcode {
  /// What the machine does for an instruction.
  enum Action {
    case mark, stop, pop, popMark, duplicate, protocolVersion, frame
    case none, truth(Bool), integer(bytes: Int, signed: Bool), long(lengthBytes: Int), float
    case text(lengthBytes: Int), bytes(lengthBytes: Int)
    case emptyTuple, tuple, smallTuple(Int), emptyList, list, append, appends
    case emptyDictionary, dictionary, setItem, setItems, emptySet, addItems, frozenSet
    case get(bytes: Int), put(bytes: Int), memoize
    case global, stackGlobal, reduce, newObject, newObjectWithKeywords, build, persistentID
    case refused
  }

  /// An instruction's name in `pickletools` and what is done for it; nil for bytes that are no instruction.
  static func lookUp(_ byte: UInt8) -> (name: String, action: Action)? { table[Int(byte)] }

  private static let table: [(name: String, action: Action)?] = {
    var table: [(name: String, action: Action)?] = Array(repeating: nil, count: 256)
    for (byte, name, action) in rows { table[Int(byte)] = (name, action) }
    return table
  }()

  private static let rows: [(UInt8, String, Action)] = [
    (0x28, "MARK", .mark), (0x2E, "STOP", .stop), (0x30, "POP", .pop), (0x31, "POP_MARK", .popMark),
    (0x32, "DUP", .duplicate), (0x80, "PROTO", .protocolVersion), (0x95, "FRAME", .frame),
    (0x4E, "NONE", .none), (0x88, "NEWTRUE", .truth(true)), (0x89, "NEWFALSE", .truth(false)),
    (0x4A, "BININT", .integer(bytes: 4, signed: true)), (0x4B, "BININT1", .integer(bytes: 1, signed: false)),
    (0x4D, "BININT2", .integer(bytes: 2, signed: false)), (0x8A, "LONG1", .long(lengthBytes: 1)),
    (0x8B, "LONG4", .long(lengthBytes: 4)), (0x47, "BINFLOAT", .float),
    (0x54, "BINSTRING", .text(lengthBytes: 4)), (0x55, "SHORT_BINSTRING", .text(lengthBytes: 1)),
    (0x58, "BINUNICODE", .text(lengthBytes: 4)), (0x8C, "SHORT_BINUNICODE", .text(lengthBytes: 1)),
    (0x8D, "BINUNICODE8", .text(lengthBytes: 8)), (0x42, "BINBYTES", .bytes(lengthBytes: 4)),
    (0x43, "SHORT_BINBYTES", .bytes(lengthBytes: 1)), (0x8E, "BINBYTES8", .bytes(lengthBytes: 8)),
    (0x29, "EMPTY_TUPLE", .emptyTuple), (0x74, "TUPLE", .tuple), (0x85, "TUPLE1", .smallTuple(1)),
    (0x86, "TUPLE2", .smallTuple(2)), (0x87, "TUPLE3", .smallTuple(3)), (0x5D, "EMPTY_LIST", .emptyList),
    (0x6C, "LIST", .list), (0x61, "APPEND", .append), (0x65, "APPENDS", .appends),
    (0x7D, "EMPTY_DICT", .emptyDictionary), (0x64, "DICT", .dictionary), (0x73, "SETITEM", .setItem),
    (0x75, "SETITEMS", .setItems), (0x8F, "EMPTY_SET", .emptySet), (0x90, "ADDITEMS", .addItems),
    (0x91, "FROZENSET", .frozenSet), (0x68, "BINGET", .get(bytes: 1)), (0x6A, "LONG_BINGET", .get(bytes: 4)),
    (0x71, "BINPUT", .put(bytes: 1)), (0x72, "LONG_BINPUT", .put(bytes: 4)), (0x94, "MEMOIZE", .memoize),
    (0x63, "GLOBAL", .global), (0x93, "STACK_GLOBAL", .stackGlobal), (0x52, "REDUCE", .reduce),
    (0x81, "NEWOBJ", .newObject), (0x92, "NEWOBJ_EX", .newObjectWithKeywords), (0x62, "BUILD", .build),
    (0x51, "BINPERSID", .persistentID),
    (0x50, "PERSID", .refused), (0x69, "INST", .refused), (0x6F, "OBJ", .refused), (0x82, "EXT1", .refused),
    (0x83, "EXT2", .refused), (0x84, "EXT4", .refused), (0x96, "BYTEARRAY8", .refused),
    (0x97, "NEXT_BUFFER", .refused), (0x98, "READONLY_BUFFER", .refused), (0x49, "INT", .refused),
    (0x4C, "LONG", .refused), (0x46, "FLOAT", .refused), (0x53, "STRING", .refused), (0x56, "UNICODE", .refused),
    (0x67, "GET", .refused), (0x70, "PUT", .refused),
  ]
}
