import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ImportedGGUFModel {
  /// The same model with nothing changed: every tensor is its stored bytes.
  public func exported() throws(FormatError) -> GGUFModel {
    try exported(graph: model.graph, layers: model.layers, keptHeads: model.layers.map { Array(0..<$0.heads) })
  }

  /// Turns a changed graph back into a GGUF file.
  ///
  /// The original's metadata stay as they are, in their order and types, but for the counts that changed. Tensors keep their order and, where rows
  /// still fill blocks, their types; packed rows that were only kept or dropped are copied.
  ///
  /// - Parameters:
  ///   - graph: this model's graph after a pass that kept the initializers' names.
  ///   - layers: the counts of every layer now.
  ///   - keptHeads: for each layer the query heads that are left, ascending, numbered as in this model.
  ///   - carrier: another architecture string that computes the same with counts for every layer: `deci`, `openelm`; nil for the
  ///     model's own.
  /// - Returns: the file; `requantizations` names the tensors that had to be rounded anew.
  /// - Throws: `missingInitializer`; `cannotExpress` when llama.cpp could not load the result, or would compute something else.
  /// - Complexity: O(number of tensors).
  public func exported(
    graph: Graph, layers: [LayerSummary], keptHeads: [[Int]], carrier: String? = nil
  ) throws(FormatError) -> GGUFModel {
    let target = try target(carrier)
    try check(layers, target, retargeted: carrier != nil)
    let checkpoint = try model.exported(graph: graph, layers: layers, keptHeads: keptHeads)
    var weights: [String: Weight] = [:]
    for tensor in checkpoint.tensors { weights[model.role(of: tensor.name)] = tensor.weight }
    let writing = GGUFWriting(
      family: target, config: checkpoint.config, file: file, layers: layers, weights: weights, fileType: 0)
    var result = GGUFModel(metadata: source.metadata, tensors: [])
    editMetadata(&result.metadata, layers, target, carrier: carrier)
    if carrier == nil {
      try write(map, writing, into: &result)
    } else {
      try writeCarried(writing, into: &result)
    }
    return result
  }

  // MARK: Tensors

  private var sourceTensors: [String: GGUFModel.Tensor] {
    Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
  }

  /// Writes the slots of the file's own tensors, in their order.
  private func write(
    _ map: GGUFTensorMap, _ writing: GGUFWriting, into result: inout GGUFModel
  ) throws(FormatError) {
    var written: [String: GGUFModel.Tensor] = [:]
    let stored = sourceTensors
    for slot in map.slots {
      guard !slot.roles.isEmpty else {
        for name in slot.names { written[name] = stored[name] }
        continue
      }
      guard let parts = try parameters(slot.roles, writing) else { continue }
      let values = try slot.written(parts, writing.context(layer: slot.layer), file: file)
      for (name, value) in zip(slot.names, values) {
        guard let original = stored[name] else { continue }
        var value = value
        if original.shape.rank == 1, value.shape.rank == 2, value.shape[0] == 1 {
          value = value.reshaped([value.shape[1]])
        }
        written[name] = try result.packed(value, name: name, as: original.type)
      }
    }
    result.tensors = source.tensors.compactMap { written[$0.name] }
  }

  /// Writes the model under a carrier's names: each tensor where its first part was.
  private func writeCarried(_ writing: GGUFWriting, into result: inout GGUFModel) throws(FormatError) {
    var types: [String: GGUFTensorType] = [:]
    var order: [String] = []
    for slot in map.slots {
      for role in slot.roles {
        order.append(role)
        types[role] = sourceTensors[slot.names[slot.names.count == slot.roles.count ? 0 : 0]]?.type
      }
    }
    let carried = try GGUFTensorMap(
      roles: order, family: writing.family, layerCounts: [writing.layers.count]
    ) { role throws(FormatError) in
      throw FormatError(
        .cannotExpress, file: file, subject: .tensor(role), expected: "a tensor of \(writing.family.architecture)",
        found: "none", remedy: "leave out --retarget")
    }
    let kept = Set(writing.family.tensors.filter(\.checkpointNames.isEmpty).flatMap(\.names).map { $0 + ".weight" })
    result.tensors = source.tensors.filter { kept.contains($0.name) }
    for slot in carried.slots {
      guard let parts = try parameters(slot.roles, writing) else { continue }
      let values = try slot.written(parts, writing.context(layer: slot.layer), file: file)
      let type = slot.roles.compactMap { types[$0] }.max { $0.bitsPerElement < $1.bitsPerElement }
      guard let type else { continue }
      for (name, value) in zip(slot.names, values) {
        result.tensors.append(try result.packed(value, name: name, as: type))
      }
    }
  }

  /// The parameters of roles; nil where a cut took them whole.
  private func parameters(_ roles: [String], _ writing: GGUFWriting) throws(FormatError) -> [Weight]? {
    let found = roles.compactMap { writing.weights[$0] }
    if found.count == roles.count { return found }
    if found.isEmpty { return nil }
    throw FormatError(.missingInitializer, file: file, subject: .tensor(roles.joined(separator: ", ")))
  }

  // MARK: Metadata

  private func editMetadata(
    _ metadata: inout GGUFMetadata, _ layers: [LayerSummary], _ target: GGUFFamily, carrier: String?
  ) {
    let own = architecture
    let new = target.architecture
    if new != own {
      metadata.set("general.architecture", to: .string(new))
      for key in metadata.keys where key.hasPrefix(own + ".") {
        metadata.rename(key, to: new + key.dropFirst(own.count))
      }
    }
    let isCut = zip(layers, model.layers).contains { $0 != $1 }
    guard isCut || carrier != nil else { return }
    func set(_ name: String, _ counts: [Int], alwaysList: Bool = false) {
      var value = GGUFValue(layerCounts: counts)
      if alwaysList, case .uint32 = value { value = .array(GGUFArray(counts.map { Int32(clamping: $0) })) }
      let key = "\(new).\(name)"
      if let stored = metadata[key], Self.counts(stored, layers.count) == counts, !alwaysList { return }
      metadata.set(key, to: value, keepingType: false)
    }
    let headsChanged = zip(layers, model.layers).contains {
      ($0.heads, $0.keyValueHeads) != ($1.heads, $1.keyValueHeads)
    }
    let hasGroups = metadata.contains("\(new).attention.head_count_kv")
    set("attention.head_count", layers.map(\.heads))
    if hasGroups || layers.contains(where: { $0.heads != $0.keyValueHeads }) {
      set("attention.head_count_kv", layers.map(\.keyValueHeads))
    }
    set("feed_forward_length", layers.map(\.feedForward))
    guard headsChanged || carrier != nil, let width = layers.first?.headDim else { return }
    // Without these keys llama.cpp divides the states' width by the heads that are left.
    for name in ["attention.key_length", "attention.value_length"] where target.capability.heads != .fixed {
      set(name, [width])
    }
    if carrier != nil { set("rope.dimension_count", [width]) }
  }

  private static func counts(_ value: GGUFValue, _ layers: Int) -> [Int]? {
    value.integer.map { Array(repeating: $0, count: layers) } ?? value.array?.integers
  }

  // MARK: Checks

  private func target(_ carrier: String?) throws(FormatError) -> GGUFFamily {
    guard let carrier, carrier != architecture else { return family }
    let offered = loaderRules.rows.compactMap(\.carrier)
    guard offered.contains(carrier), let target = GGUFFamilies.carrier(carrier) else {
      throw FormatError(
        .cannotExpress, file: file, subject: .key("general.architecture"),
        expected: offered.isEmpty ? "the original's own architecture" : "one of " + offered.joined(separator: ", "),
        found: "\"\(carrier)\"")
    }
    return target
  }

  /// Holds counts against what llama.cpp loads, and computes rightly.
  private func check(_ layers: [LayerSummary], _ target: GGUFFamily, retargeted: Bool) throws(FormatError) {
    try target.check(layers, before: retargeted ? nil : model.layers, file: file)
  }
}

extension GGUFFamily {
  /// Holds counts against what llama.cpp loads, and computes rightly.
  ///
  /// - Parameter before: the counts whose heads cannot change where the loader fixes them; nil to skip that.
  /// - Throws: `cannotExpress` naming the layer.
  func check(_ layers: [LayerSummary], before: [LayerSummary]?, file: String?) throws(FormatError) {
    func refuse(_ layer: Int, _ expected: String, _ found: String, _ remedy: String? = nil) -> FormatError {
      FormatError(
        .cannotExpress, file: file, subject: .layer(layer), expected: expected, found: found, remedy: remedy)
    }
    guard let first = layers.first else { return }
    for layer in layers {
      if layer.heads < 1 || layer.keyValueHeads < 1 {
        throw refuse(layer.index, "at least one head", "none", "keep one head of the layer")
      }
      // Without neurons llama.cpp leaves out what attention adds, and ends the process in the last layer.
      // A decoder's attention to its encoder is a layer that has none by nature.
      let isAttentionAlone = blocks.count > 1 && layer.feedForward == 0
      if layer.feedForward < 1, !isAttentionAlone {
        throw refuse(layer.index, "at least one neuron", "none", "keep one neuron of the layer")
      }
      // llama.cpp ends the process when groups are not equal.
      if layer.heads % layer.keyValueHeads != 0 {
        throw refuse(
          layer.index, "query heads in equal groups",
          "\(layer.heads) query heads and \(layer.keyValueHeads) key/value heads")
      }
      if layer.headDim != first.headDim {
        throw refuse(layer.index, "heads of width \(first.headDim)", "\(layer.headDim)")
      }
      let heads = (layer.heads, layer.keyValueHeads)
      if capability.heads != .perLayer, heads != (first.heads, first.keyValueHeads) {
        throw refuse(
          layer.index, "as many heads as layer 0, \(first.heads) with \(first.keyValueHeads) for keys and values",
          "\(heads.0) with \(heads.1)",
          "make the counts equal, or write it under an architecture with counts for every layer")
      }
      if capability.feedForward != .perLayer, layer.feedForward != first.feedForward, !isAttentionAlone {
        throw refuse(
          layer.index, "as many neurons as layer 0, \(first.feedForward)", "\(layer.feedForward)",
          "make the counts equal, or write it under an architecture with counts for every layer")
      }
    }
    if let before = before?.first {
      if capability.heads == .fixed, (first.heads, first.keyValueHeads) != (before.heads, before.keyValueHeads) {
        throw refuse(0, "\(before.heads) heads; \(capability.remark)", "\(first.heads)")
      }
      if capability.feedForward == .fixed, first.feedForward != before.feedForward {
        throw refuse(0, "\(before.feedForward) neurons, which llama.cpp takes as given", "\(first.feedForward)")
      }
    }
  }
}
