import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ImportedONNXModel {
  /// The file's messages with the changes that a graph has over the imported one.
  ///
  /// What did not change keeps its bytes; a graph without changes gives the file's own messages. Nodes without a source stand before the
  /// next node that has one. Constants keep their form and name where they keep their content or all their uses change alike; others are
  /// new initializers. Constants that nothing uses any more are dropped, those that nothing ever used stay. Shapes of inputs, outputs and
  /// `value_info` follow.
  ///
  /// - Parameters:
  ///   - changed: the imported graph after passes that keep the numbers of values.
  ///   - metadata: entries of `metadata_props` to set.
  /// - Throws: `cannotWriteBack`, naming node or value.
  public func exported(graph changed: Graph, metadata: [String: String] = [:]) throws(FormatError) -> ONNXModel {
    var edit = try ONNXEdit(self, changed)
    let (graph, hasChanged) = try edit.rebuilt(0)
    var result = hasChanged ? model : file.model
    if hasChanged {
      if let inliningConflict {
        throw FormatError(
          .cannotWriteBack, file: file.source.path, expected: "one version of each operator set",
          found: inliningConflict)
      }
      result.graph = graph
    }
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      let entry = ONNXEntry(ByteString(key), ByteString(value))
      if let place = result.metadata.firstIndex(where: { $0.key == ByteString(key) }) {
        if result.metadata[place].value != ByteString(value) { result.metadata[place] = entry }
      } else {
        result.metadata.append(entry)
      }
    }
    return result
  }

}

/// Writes a changed graph into the messages that the imported one was read from.
struct ONNXEdit {
  let model: ImportedONNXModel
  let graph: Graph
  let constants: ONNXConstantPlan
  /// The nodes of the changed graph by source.
  private var current: [Int: Node] = [:]
  /// The nodes as they were imported, by source.
  private var imported: [Int: Node] = [:]
  /// New nodes by graph and by the node message that they stand before.
  private var insertions: [Int: [Int: [Node]]] = [:]
  /// The names of values that the file does not have.
  private var names: [ValueID: ByteString] = [:]
  private var taken: Set<ByteString>
  /// The values that the changed graph computes.
  private let computed: Set<ValueID>

  init(_ model: ImportedONNXModel, _ graph: Graph) throws(FormatError) {
    self.model = model
    self.graph = graph
    constants = ONNXConstantPlan(model, graph)
    taken = (model.model.graph ?? ONNXGraph()).allNames
    computed = Set(graph.nodes.flatMap { $0.outputs.compactMap { $0 } } + graph.inputs)
    for node in model.graph.nodes { if let source = node.source { imported[source] = node } }
    var containers: [Int?: Int] = [:]
    for (number, container) in model.containers.enumerated() { containers[container.region] = number }
    var waiting: [Int: [Node]] = [:]
    for node in graph.nodes {
      if let source = node.source, imported[source] != nil, current[source] == nil {
        current[source] = node
        let origin = model.sources[source]
        if case .node(let place) = origin.kind, let nodes = waiting.removeValue(forKey: origin.container) {
          insertions[origin.container, default: [:]][place] = nodes
        }
        // A branch is written with its conditional, so what stands before the conditional is written before the branch too.
      } else {
        guard let container = containers[node.region] else {
          throw FormatError(
            .cannotWriteBack, subject: .node(node.name), expected: "a branch of the file", found: "a new one")
        }
        waiting[container, default: []].append(node)
      }
    }
    for (container, nodes) in waiting {
      insertions[container, default: [:]][model.containers[container].graph.nodes.count] = nodes
    }
    for (id, _) in constants.added { names[id] = fresh(graph[id].name) }
    for node in graph.nodes {
      for case let output? in node.outputs where output.index >= model.fileValues.count {
        names[output] = fresh(graph[output].name)
      }
    }
  }

  private mutating func fresh(_ name: String) -> ByteString {
    var candidate = ByteString(name)
    var number = 1
    while candidate.isEmpty || !taken.insert(candidate).inserted {
      number += 1
      candidate = ByteString("\(name)_\(number)")
    }
    return candidate
  }

  /// The name by which nodes refer to a value.
  private func name(of id: ValueID) throws(FormatError) -> ByteString {
    let id = constants.aliases[id] ?? id
    if let name = names[id] { return name }
    if id.index < model.fileValues.count { return model.values[model.fileValues[id.index]].name }
    throw FormatError(
      .cannotWriteBack, subject: .value(graph[id].name), expected: "a node or a constant that provides it")
  }

  // MARK: Graphs

  /// A graph message with the changes, and whether there are any.
  mutating func rebuilt(_ number: Int) throws(FormatError) -> (ONNXGraph, Bool) {
    let container = model.containers[number]
    var result = container.graph
    var hasChanged = false
    if let nodes = try rebuiltNodes(number) {
      result.nodes = nodes
      hasChanged = true
    }
    if let tensors = try rebuiltInitializers(number) {
      result.initializers = tensors
      hasChanged = true
    }
    let sparse = container.graph.sparseInitializers.enumerated().filter { place, _ in
      isWritten(.sparseInitializer(place), number)
    }
    if sparse.count < container.graph.sparseInitializers.count {
      result.sparseInitializers = sparse.map(\.element)
      hasChanged = true
    }
    if try updateOutputs(&result, number) { hasChanged = true }
    if updateValueInfo(&result, number) { hasChanged = true }
    if number == 0, try updateInputs(&result) { hasChanged = true }
    return (result, hasChanged)
  }

  /// Whether what stands in the graph as a node is still there.
  private func isWritten(_ kind: ONNXSource.Kind, _ container: Int) -> Bool {
    guard let source = model.sources.firstIndex(where: { $0.container == container && $0.kind == kind }) else {
      return true
    }
    return current[source] != nil
  }

  // MARK: Nodes

  private mutating func rebuiltNodes(_ number: Int) throws(FormatError) -> [ONNXNode]? {
    let container = model.containers[number]
    var nodes: [ONNXNode] = []
    nodes.reserveCapacity(container.graph.nodes.count)
    var hasChanged = false
    for (place, message) in container.graph.nodes.enumerated() {
      for node in insertions[number]?[place] ?? [] {
        nodes.append(try self.message(of: node))
        hasChanged = true
      }
      var written: ONNXNode?
      var hasChangedHere = true
      switch container.roles[place] {
      case .constant(let value):
        if let weight = constants.replaced[value] {
          if case .constant = model.values[value].provider { written = Self.constant(message, weight) }
        } else if constants.keeps(value) {
          (written, hasChangedHere) = (message, false)
        }
      case .computed(let source):
        if let node = current[source], let old = imported[source] {
          (written, hasChangedHere) = try edited(message, node, old, source)
          let (withBranches, branchesChanged) = try rebuildBranches(written ?? message, container.branches[place] ?? [])
          if branchesChanged { (written, hasChangedHere) = (withBranches, true) }
        }
      }
      if let written { nodes.append(written) }
      hasChanged = hasChanged || hasChangedHere
    }
    for node in insertions[number]?[container.graph.nodes.count] ?? [] {
      nodes.append(try self.message(of: node))
      hasChanged = true
    }
    return hasChanged ? nodes : nil
  }

  private mutating func rebuildBranches(
    _ message: ONNXNode, _ branches: [(attribute: ByteString, container: Int)]
  ) throws(FormatError) -> (ONNXNode, Bool) {
    var result = message
    var hasChanged = false
    for (attribute, container) in branches {
      let (graph, branchChanged) = try rebuilt(container)
      guard branchChanged, var value = result[attribute: attribute] else { continue }
      value.graph = graph
      result[attribute: attribute] = value
      hasChanged = true
    }
    return (result, hasChanged)
  }

  /// A `Constant` node with other content; the attribute becomes a tensor, as only that has every shape.
  private static func constant(_ message: ONNXNode, _ weight: Weight) -> ONNXNode {
    var result = message
    if var value = message[attribute: "value"], var tensor = value.tensor {
      tensor.replaceElements(with: weight)
      value.tensor = tensor
      result[attribute: "value"] = value
    } else {
      result.attributes = [ONNXAttribute("value", .tensor(ONNXTensor(nil, weight)))]
    }
    return result
  }

  /// The message of a node that the file does not have.
  private func message(of node: Node) throws(FormatError) -> ONNXNode {
    var inputs: [ByteString] = []
    for input in node.inputs { inputs.append(try input.map { id throws(FormatError) in try name(of: id) } ?? "") }
    var outputs: [ByteString] = []
    for output in node.outputs { outputs.append(try output.map { id throws(FormatError) in try name(of: id) } ?? "") }
    var attributes: [ONNXAttribute] = []
    for (key, value) in node.attributes.sorted(by: { $0.key < $1.key }) {
      attributes.append(ONNXAttribute(ByteString(key), try Self.value(value, key, node)))
    }
    return ONNXNode(
      ByteString(node.op.name), domain: node.op.domain.isEmpty ? nil : ByteString(node.op.domain),
      name: ByteString(node.name), inputs: inputs, outputs: outputs, attributes: attributes)
  }

  /// A node's message with what changed: operands, results, operator, attributes.
  private func edited(
    _ message: ONNXNode, _ node: Node, _ old: Node, _ source: Int
  ) throws(FormatError) -> (ONNXNode, Bool) {
    var result = message
    var hasChanged = false
    let ownCount = model.sources[source].ownOperandCount
    let isConditional = node.op == OperatorName("If")
    let hasCaptured = old.inputs.count > ownCount
    var inputs: [ByteString] = []
    for input in hasCaptured ? Array(node.inputs.prefix(ownCount)) : node.inputs {
      inputs.append(try input.map { id throws(FormatError) in try name(of: id) } ?? "")
    }
    if inputs != message.inputs {
      result.inputs = inputs
      hasChanged = true
    }
    if hasCaptured, !isConditional {
      for (was, now) in zip(old.inputs.dropFirst(ownCount), node.inputs.dropFirst(ownCount)) {
        guard let was, let now, was == now, try name(of: was) == model.values[model.fileValues[was.index]].name,
          constants.replaced[model.fileValues[was.index]] == nil
        else {
          throw FormatError(
            .cannotWriteBack, file: model.file.source.path, subject: .node(node.name),
            expected: "the values that its subgraphs use as they were", found: "others")
        }
      }
    }
    var outputs: [ByteString] = []
    for output in node.outputs { outputs.append(try output.map { id throws(FormatError) in try name(of: id) } ?? "") }
    while outputs.count > message.outputs.count, outputs.last?.isEmpty ?? false { outputs.removeLast() }
    if outputs != message.outputs {
      result.outputs = outputs
      hasChanged = true
    }
    if node.op != old.op {
      result.operatorType = ByteString(node.op.name)
      result.domain = node.op.domain.isEmpty ? nil : ByteString(node.op.domain)
      hasChanged = true
    }
    for key in Set(node.attributes.keys).union(old.attributes.keys).sorted()
    where node.attributes[key] != old.attributes[key] {
      hasChanged = true
      guard let value = node.attributes[key] else {
        result[attribute: ByteString(key)] = nil
        continue
      }
      var attribute = result[attribute: ByteString(key)] ?? ONNXAttribute(ByteString(key), .integer(0))
      attribute.set(try Self.value(value, key, node))
      result[attribute: ByteString(key)] = attribute
    }
    return (result, hasChanged)
  }

  private static func value(_ value: Attribute, _ key: String, _ node: Node) throws(FormatError) -> ONNXAttribute.Value
  {
    switch value {
    case .integer(let value): return .integer(Int64(value))
    case .integers(let values): return .integers(values.map { Int64($0) })
    case .float(let value): return .float(value)
    case .floats(let values): return .floats(values)
    case .string(let value): return .string(ByteString(value))
    case .strings(let values): return .strings(values.map { ByteString($0) })
    case .tensor(let weight): return .tensor(ONNXTensor(nil, weight))
    case .opaque:
      throw FormatError(
        .cannotWriteBack, subject: .node(node.name), expected: "attribute \(key) as the file has it", found: "another")
    }
  }

  // MARK: Constants

  private func rebuiltInitializers(_ number: Int) throws(FormatError) -> [ONNXTensor]? {
    let container = model.containers[number]
    var tensors: [ONNXTensor] = []
    tensors.reserveCapacity(container.graph.initializers.count)
    var hasChanged = false
    for (place, tensor) in container.graph.initializers.enumerated() {
      guard let value = container.initializers[place] else {
        if isWritten(.initializer(place), number) { tensors.append(tensor) } else { hasChanged = true }
        continue
      }
      if let weight = constants.replaced[value] {
        var changed = tensor
        changed.replaceElements(with: weight)
        tensors.append(changed)
        hasChanged = true
      } else if constants.keeps(value) {
        tensors.append(tensor)
      } else {
        hasChanged = true
      }
    }
    for (value, weight) in constants.replaced.sorted(by: { $0.key < $1.key }) {
      let fileValue = model.values[value]
      guard fileValue.container == number else { continue }
      switch fileValue.provider {
      case .folded, .node, .input: break
      case .initializer, .constant: continue
      }
      tensors.append(ONNXTensor(fileValue.name, weight))
      hasChanged = true
    }
    if number == 0 {
      for (id, weight) in constants.added {
        tensors.append(ONNXTensor(try name(of: id), weight))
        hasChanged = true
      }
    }
    return hasChanged ? tensors : nil
  }

  // MARK: Interface

  /// The types before and after of the value that an entry describes; nil when the model has no such value any more.
  private func types(of id: ValueID, _ value: Int) -> (old: ValueType?, new: ValueType?)? {
    if graph[id].initializer == nil, !computed.contains(id) { return nil }
    if model.values[value].weight != nil, constants.replaced[value] == nil, !constants.keeps(value) { return nil }
    // A name that stays with the file's content describes that, whatever the value's number got.
    if constants.unchanged.contains(value) { return (model.graph[id].type, model.graph[id].type) }
    return (model.graph[id].type, graph[id].type)
  }

  /// Corrects entries whose types changed and drops those of values that are gone. The results tell whether anything changed.
  private func updateValueInfo(_ message: inout ONNXGraph, _ number: Int) -> Bool {
    guard !message.valueInfo.isEmpty || !message.quantizationAnnotations.isEmpty else { return false }
    var numbers: [ByteString: Int] = [:]
    for (index, value) in model.values.enumerated() where value.container == number { numbers[value.name] = index }
    var hasChanged = false
    var entries: [ONNXValueInfo] = []
    var gone: Set<ByteString> = []
    for entry in message.valueInfo {
      guard let value = numbers[entry.name ?? ""] else {
        entries.append(entry)
        continue
      }
      guard let id = model.values[value].id else {
        if constants.keeps(value) { entries.append(entry) } else { hasChanged = true }
        continue
      }
      guard let types = types(of: id, value) else {
        gone.insert(entry.name ?? "")
        hasChanged = true
        continue
      }
      if let corrected = corrected(entry, types.old, types.new) {
        entries.append(corrected)
        hasChanged = true
      } else {
        entries.append(entry)
      }
    }
    if hasChanged { message.valueInfo = entries }
    let annotations = message.quantizationAnnotations.filter { !gone.contains($0.tensorName ?? "") }
    if annotations.count < message.quantizationAnnotations.count {
      message.quantizationAnnotations = annotations
      hasChanged = true
    }
    return hasChanged
  }

  /// The results of the model or of a branch: types, and names where a branch gives another value.
  private mutating func updateOutputs(_ message: inout ONNXGraph, _ number: Int) throws(FormatError) -> Bool {
    let container = model.containers[number]
    let results = try resultValues(of: number)
    var hasChanged = false
    for (place, value) in container.outputs.enumerated() where place < results.count {
      guard let old = model.values[value].id else { continue }
      let new = results[place]
      let isHere = new == old && names[new] == nil && constants.aliases[new] == nil
      if !isHere {
        var output = message.outputs[place]
        let name = number == 0 ? output.name ?? "" : fresh((output.name ?? "").description)
        guard number > 0 || (!computed.contains(old) && constants.replaced[value] == nil && !constants.keeps(value))
        else {
          throw FormatError(
            .cannotWriteBack, file: model.file.source.path, subject: .value(name.description),
            expected: "an output that keeps its value", found: "another value")
        }
        message.nodes.append(ONNXNode("Identity", inputs: [try self.name(of: new)], outputs: [name]))
        output.name = name
        message.outputs[place] = output
        hasChanged = true
      }
      if let corrected = corrected(message.outputs[place], model.graph[old].type, graph[new].type) {
        message.outputs[place] = corrected
        hasChanged = true
      }
    }
    return hasChanged
  }

  /// The values that the changed graph has as results of a graph message.
  private func resultValues(of number: Int) throws(FormatError) -> [ValueID] {
    if number == 0 { return graph.outputs }
    for (outer, container) in model.containers.enumerated() {
      for (place, branches) in container.branches {
        guard let branch = branches.firstIndex(where: { $0.container == number }),
          case .computed(let source) = model.containers[outer].roles[place], let node = current[source]
        else { continue }
        let count = (node.inputs.count - 1) / 2
        return node.inputs.dropFirst(1 + branch * count).prefix(count).compactMap { $0 }
      }
    }
    return []
  }

  private mutating func updateInputs(_ message: inout ONNXGraph) throws(FormatError) -> Bool {
    var numbers: [ByteString: Int] = [:]
    for (index, value) in model.values.enumerated() where value.container == 0 { numbers[value.name] = index }
    var hasChanged = false
    var inputs: [ONNXValueInfo] = []
    let current = Set(graph.inputs)
    for input in message.inputs {
      guard let value = numbers[input.name ?? ""] else {
        inputs.append(input)
        continue
      }
      if model.values[value].weight != nil {
        // A constant that is listed as an input, as files of IR 3 have them.
        if let weight = constants.replaced[value] {
          hasChanged = true
          inputs.append(Self.described(input, weight))
        } else if constants.keeps(value) {
          inputs.append(input)
        } else {
          hasChanged = true
        }
        continue
      }
      guard let id = model.values[value].id, current.contains(id) else {
        hasChanged = true
        continue
      }
      if let corrected = corrected(input, model.graph[id].type, graph[id].type) {
        inputs.append(corrected)
        hasChanged = true
      } else {
        inputs.append(input)
      }
    }
    if (model.model.irVersion ?? 0) < 4 {
      let listed = Set(inputs.map { $0.name ?? "" })
      for tensor in message.initializers where !listed.contains(tensor.name ?? "") {
        guard case .weight(let weight)? = tensor.rawData else { continue }
        inputs.append(Self.described(ONNXValueInfo(tensor.name ?? "", nil), weight))
        hasChanged = true
      }
    }
    if hasChanged { message.inputs = inputs }
    return hasChanged
  }

  private static func described(_ entry: ONNXValueInfo, _ weight: Weight) -> ONNXValueInfo {
    var result = entry
    result.type = ONNXDataType(weight.type).map { type in
      ONNXType(type, shape: weight.shape.extents.map { ONNXDimension(Int64($0)) })
    }
    return result
  }

  /// An entry whose type changed, with the new extents; nil when it stays as it is.
  ///
  /// A name of a size that is not what it was goes: runtimes take equal names for equal sizes.
  private func corrected(_ entry: ONNXValueInfo, _ old: ValueType?, _ new: ValueType?) -> ONNXValueInfo? {
    guard let tensor = entry.type?.tensor, var dimensions = tensor.shape?.dimensions, old != new else { return nil }
    var result = entry
    guard let oldShape = old?.shape, let newShape = new?.shape, oldShape.count == newShape.count,
      newShape.count == dimensions.count
    else {
      result.type?.tensor?.shape = nil
      return result
    }
    var hasChanged = false
    for (axis, size) in newShape.enumerated() where size != oldShape[axis] {
      if let extent = size.constant {
        if dimensions[axis].value == Int64(extent) { continue }
        dimensions[axis].value = Int64(extent)
      } else if size.symbols.count == 1, let symbol = size.symbols.first, size == .symbol(symbol),
        let name = model.sizeNames[symbol]
      {
        if dimensions[axis].parameter == name { continue }
        dimensions[axis].parameter = name
      } else {
        if dimensions[axis].value == nil, dimensions[axis].parameter == nil { continue }
        dimensions[axis].value = nil
        dimensions[axis].parameter = nil
      }
      hasChanged = true
    }
    guard hasChanged else { return nil }
    result.type?.tensor?.shape?.dimensions = dimensions
    return result
  }
}
