import PollardBase

/// The tensors of what a pickle describes, under the names of a state dictionary.
package struct TensorTree: Sendable {
  /// Tensors by name, in the order of the pickle.
  package private(set) var tensors: [(name: String, tensor: StridedTensor)] = []
  /// Sentences about what was passed over.
  package private(set) var notes: [String] = []

  /// Most containers inside each other. State dictionaries have one, training checkpoints three.
  private static let depthLimit = 32
  /// Where training scripts keep the state dictionary beside other things.
  private static let wrappers = ["state_dict", "model_state_dict", "model", "module", "net", "weights", "params"]

  /// Finds the tensors.
  ///
  /// A dictionary that holds tensors is the state dictionary. One that holds none, but a state dictionary under a usual key, gives that one. Of
  /// everything else all tensors are listed, under the keys and positions that lead to them.
  ///
  /// - Throws: `tensorUnsupported` with the tensor's name, `duplicateTensor`, `pickleTooLarge` for containers that hold each other without end.
  init(_ graph: PickleGraph) throws(FormatError) {
    var start = graph.root
    if case .dictionary(let members)? = graph[start], !Self.holdsTensors(members, graph) {
      for key in Self.wrappers {
        guard let inner = members.last(where: { $0.key == .text(key) })?.value,
          case .dictionary(let innerMembers)? = graph[inner], Self.holdsTensors(innerMembers, graph)
        else { continue }
        start = inner
        let others = members.compactMap { Self.name(of: $0.key) }.filter { $0 != key }
        let list = others.prefix(6).joined(separator: ", ") + (others.count > 6 ? ", …" : "")
        notes.append("the tensors are those under \"\(key)\"" + (others.isEmpty ? "" : "; left aside: \(list)"))
        break
      }
    }
    try collect(start, graph)
    dropCommonPrefix("module.", by: "DataParallel")
  }

  private static func holdsTensors(_ members: [(key: PickleValue, value: PickleValue)], _ graph: PickleGraph) -> Bool {
    members.contains { member in
      switch graph[member.value] {
      case .tensor?, .unreadableTensor?: true
      default: false
      }
    }
  }

  private static func name(of key: PickleValue) -> String? {
    switch key {
    case .text(let text): text
    case .integer(let number): String(number)
    default: nil
    }
  }

  /// Lists tensors in order; the stack is explicit, so that depth costs nothing.
  private mutating func collect(_ start: PickleValue, _ graph: PickleGraph) throws(FormatError) {
    var names: Set<ExactString> = []
    var pending: [(name: String, value: PickleValue, depth: Int)] = [("", start, 0)]
    var visits = 0
    var passedOver: [String] = []
    // Each value is written once; only one that stands in many places is visited more often.
    let limit = 4 * graph.objects.count + (1 << 16)
    while let (name, value, depth) = pending.popLast() {
      visits += 1
      guard depth <= Self.depthLimit, visits <= limit else {
        throw FormatError(
          .pickleTooLarge, subject: .key(String(name.prefix(80))), expected: "a state dictionary",
          found: "containers that hold each other over and over")
      }
      func path(_ key: String) -> String { name.isEmpty ? key : name + "." + key }
      switch graph[value] {
      case .tensor(let tensor)?:
        let name = name.isEmpty ? "tensor" : name
        guard names.insert(ExactString(name)).inserted else {
          throw FormatError(.duplicateTensor, subject: .tensor(name))
        }
        tensors.append((name, tensor))
      case .unreadableTensor(let kind)?:
        throw FormatError(
          .tensorUnsupported, subject: .tensor(name), expected: "a dense tensor", found: kind,
          remedy: "save the tensor dense and plain")
      case .dictionary(let members)?:
        visits += members.count
        for member in members.reversed() {
          guard let key = Self.name(of: member.key) else {
            if graph[member.value] != nil { passedOver.append(path("?")) }
            continue
          }
          pending.append((path(key), member.value, depth + 1))
        }
      case .list(let members)?, .tuple(let members)?:
        visits += members.count
        for (index, member) in members.enumerated().reversed() { pending.append((path("\(index)"), member, depth + 1)) }
      case .set?, .storage?, .inert?, nil:
        // Numbers and texts beside tensors, such as an epoch, are no part of a model.
        if depth == 1, value != .none { passedOver.append(name) }
      }
    }
    if !passedOver.isEmpty {
      let list = passedOver.prefix(6).joined(separator: ", ") + (passedOver.count > 6 ? ", …" : "")
      notes.append("left aside, being no tensors: \(list)")
    }
  }

  /// Takes a prefix away that every name has.
  private mutating func dropCommonPrefix(_ prefix: String, by wrapper: String) {
    guard !tensors.isEmpty, tensors.allSatisfy({ $0.name.hasPrefix(prefix) && $0.name.utf8.count > prefix.utf8.count })
    else { return }
    for index in tensors.indices { tensors[index].name.removeFirst(prefix.count) }
    notes.append("the names are read without the prefix \"\(prefix)\" that \(wrapper) puts before them")
  }
}
