import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ImportedONNXModel {
  /// The file's messages with a changed graph in the place of the read one; what did not change keeps its bytes.
  ///
  /// - Throws: `unsupported` for attributes that cannot be written.
  public func exported(graph changed: Graph, metadata: [String: String] = [:]) throws -> ONNXModel {
    var model = file.model
    var message = file.graph
    func name(_ id: ValueID?) -> ByteString { id.map { names[$0] ?? ByteString(changed[$0].name) } ?? "" }
    func isUnchanged(_ id: ValueID) -> Bool {
      id.index < graph.values.count && changed[id].initializer == graph[id].initializer
    }

    // Which constants are read, and which of them the file's own nodes still have to compute.
    var wanted = changed.outputs
    for node in changed.nodes { wanted += node.inputs.compactMap { $0 } }
    var usedConstants: Set<ValueID> = []
    var computed: Set<Int> = []
    while let id = wanted.popLast() {
      guard changed[id].initializer != nil || (id.index < graph.values.count && graph[id].initializer != nil),
        usedConstants.insert(id).inserted
      else { continue }
      guard isUnchanged(id) || changed[id].initializer == nil, let origin = folded[id] else { continue }
      computed.insert(origin.node)
      wanted += origin.operands
    }

    var nodes: [ONNXNode] = []
    var next = 0
    func emitComputed(before end: Int) {
      while next < end {
        if computed.contains(next) { nodes.append(message.nodes[next]) }
        next += 1
      }
    }
    let sources = Dictionary(graph.nodes.compactMap { node in node.source.map { ($0, node) } }) { first, _ in first }
    for node in changed.nodes {
      if let source = node.source, let before = sources[source] {
        emitComputed(before: source)
        var written = message.nodes[source]
        if node.inputs != before.inputs { written.inputs = node.inputs.map(name) }
        if node.attributes != before.attributes { try write(node.attributes, over: before.attributes, to: &written) }
        nodes.append(written)
      } else {
        var written = ONNXNode(
          ByteString(node.op.name), domain: node.op.domain.isEmpty ? nil : ByteString(node.op.domain),
          name: ByteString(node.name), inputs: node.inputs.map(name), outputs: node.outputs.map(name))
        try write(node.attributes, over: [:], to: &written)
        nodes.append(written)
      }
    }
    emitComputed(before: message.nodes.count)

    var initializers: [ONNXTensor] = []
    var known: Set<ByteString> = []
    let ids = Dictionary(graph.initializers.compactMap { id in names[id].map { ($0, id) } }) { first, _ in first }
    let readBefore = Set(
      graph.nodes.flatMap(\.inputs).compactMap { $0 } + graph.outputs + folded.values.flatMap(\.operands))
    for tensor in message.initializers {
      guard let name = tensor.name, let id = ids[name], folded[id] == nil else {
        initializers.append(tensor)
        continue
      }
      known.insert(name)
      if !usedConstants.contains(id), readBefore.contains(id) { continue }
      if let weight = changed[id].initializer, !isUnchanged(id) {
        initializers.append(ONNXTensor(name, weight))
      } else {
        initializers.append(tensor)
      }
    }
    for id in changed.initializers where usedConstants.contains(id) && !known.contains(name(id)) {
      guard let weight = changed[id].initializer, !(isUnchanged(id) && folded[id] != nil) else { continue }
      initializers.append(ONNXTensor(name(id), weight))
    }
    if changed.nodes.count != graph.nodes.count
      || !nodes.elementsEqual(
        message.nodes, by: { $0.wire.source?.range == $1.wire.source?.range && $0.wire.source != nil })
    {
      message.nodes = nodes
    }
    let isSame =
      initializers.count == message.initializers.count
      && zip(initializers, message.initializers).allSatisfy {
        $0.wire.source != nil && $0.wire.source?.range == $1.wire.source?.range
      }
    if !isSame { message.initializers = initializers }
    updateTypes(&message, changed)
    if !metadata.isEmpty {
      model.metadata.removeAll { entry in metadata.keys.contains { entry.key == ByteString($0) } }
      for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
        model.metadata.append(ONNXEntry(ByteString(key), ByteString(value)))
      }
    }
    if message.wire.source == nil { model.graph = message }
    return model
  }

  private func updateTypes(_ message: inout ONNXGraph, _ changed: Graph) {
    var byName: [ByteString: ValueID] = [:]
    for index in changed.values.indices {
      let id = ValueID(index)
      byName[names[id] ?? ByteString(changed[id].name)] = id
    }
    func updated(_ value: ONNXValueInfo) -> ONNXValueInfo? {
      guard let id = value.name.flatMap({ byName[$0] }), let shape = changed[id].type?.shape,
        let dimensions = value.type?.tensor?.shape?.dimensions, dimensions.count == shape.count
      else { return nil }
      var result = value
      for (axis, size) in shape.enumerated() {
        guard let extent = size.constant, let declared = dimensions[axis].value, declared != Int64(extent) else {
          continue
        }
        result.type?.tensor?.shape?.dimensions[axis].value = Int64(extent)
      }
      return result.wire.source == nil ? result : nil
    }
    for (index, value) in message.inputs.enumerated() { if let new = updated(value) { message.inputs[index] = new } }
    for (index, value) in message.outputs.enumerated() { if let new = updated(value) { message.outputs[index] = new } }
    let defined = Set(message.nodes.flatMap(\.outputs) + message.initializers.compactMap(\.name))
    let kept = message.valueInfo.filter { value in
      guard let name = value.name, defined.contains(name) else { return false }
      return updated(value) == nil
    }
    if kept.count != message.valueInfo.count { message.valueInfo = kept }
  }

  private func write(
    _ attributes: [String: Attribute], over before: [String: Attribute], to node: inout ONNXNode
  ) throws(GraphError) {
    node.attributes.removeAll { attributes[$0.name?.description ?? ""] == nil }
    for (name, value) in attributes.sorted(by: { $0.key < $1.key }) where before[name] != value {
      let payload: ONNXAttribute.Value
      switch value {
      case .integer(let value): payload = .integer(Int64(value))
      case .integers(let values): payload = .integers(values.map(Int64.init))
      case .float(let value): payload = .float(value)
      case .floats(let values): payload = .floats(values)
      case .string(let value): payload = .string(ByteString(value))
      case .strings(let values): payload = .strings(values.map { ByteString($0) })
      case .tensor(let weight): payload = .tensor(ONNXTensor(nil, weight))
      case .opaque: throw GraphError(.unsupported, subject: .node("\(node.name?.description ?? "")"), found: name)
      }
      if let place = node.attributes.firstIndex(where: { $0.name == ByteString(name) }) {
        node.attributes[place].set(payload)
      } else {
        node.attributes.append(ONNXAttribute(ByteString(name), payload))
      }
    }
  }
}
