import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension GGUFModel {
  /// A checkpoint as a GGUF file: names, order, transforms, types and metadata as the reference converter writes them.
  ///
  /// - Parameters:
  ///   - exported: configuration and tensors, of the model as it was read or after a cut.
  ///   - model: the model they come from.
  ///   - layers: the counts of every layer, after a cut; nil for the model's own.
  ///   - carrier: the architecture string for counts that differ between layers: `deci`, `openelm`; nil for the family's own.
  ///   - tokenizer: the keys `tokenizer.*` in order.
  ///   - type: the type or mix.
  ///   - types: the types of tensors by name, where another choice was made for them.
  ///   - naming: where the keys `general.*` come from.
  ///   - pooling: how sentence vectors are made, by GGUF's number, for encoders that come with a description of it.
  ///   - vocabularyRows: the number of tokens, where rows of the embeddings beyond them are to be left out (Gemma 3).
  /// - Throws: `unknownArchitecture`; `unsupportedConfiguration` for what llama.cpp does not compute; `unexpectedTensor` for a tensor that GGUF
  ///   has no name for; `cannotExpress` for counts that the architecture does not take; `configurationValue`.
  /// - Complexity: O(number of tensors).
  public init(
    converting exported: ExportedModel, of model: ImportedModel, layers: [LayerSummary]? = nil, carrier: String? = nil,
    tokenizer: [GGUFMetadata.Entry] = [], type: GGUFTypeRequest = .auto,
    types: [String: GGUFTensorType] = [:], naming: GGUFNaming = GGUFNaming(), pooling: Int? = nil,
    vocabularyRows: Int? = nil
  ) throws(FormatError) {
    let file = model.configPath
    var family = try GGUFFamilies.find(modelType: model.modelType, file: file)
    if let carrier {
      let rules = try LoaderRules.gguf(converting: model).rows.compactMap(\.carrier)
      guard rules.contains(carrier), let target = GGUFFamilies.carrier(carrier) else {
        throw FormatError(
          .cannotExpress, file: file, subject: .key("general.architecture"),
          expected: rules.isEmpty ? "the family's own architecture" : "one of " + rules.joined(separator: ", "),
          found: "\"\(carrier)\"")
      }
      family = target
    }
    family.prepareWriting(&family, exported.config)
    let layers = layers ?? model.layers
    try family.check(layers, before: carrier == nil ? model.originalCounts : nil, file: file)

    let buffers = Set(model.passedThrough.filter { $0.reason == .buffer }.map(\.name))
    var weights: [String: Weight] = [:]
    var roles: [String] = []
    var dropped: [String] = []
    for tensor in exported.tensors where !buffers.contains(tensor.name) {
      let role = model.role(of: tensor.name)
      if family.drops(role) {
        dropped.append(role)
        continue
      }
      weights[role] = tensor.weight
      roles.append(role)
    }
    let type = type.resolved(exported.tensors.lazy.map(\.weight))
    let writing = GGUFWriting(
      family: family, config: exported.config, file: file, layers: layers, weights: weights,
      fileType: type.fileType, vocabularyRows: vocabularyRows, pooling: pooling)
    notes = try family.checkWriting(writing)
    if !dropped.isEmpty {
      notes.append("llama.cpp has no place for \(dropped.joined(separator: ", ")), which are left out")
    }

    let values = try Self.values(writing, roles)
    let choice = GGUFTypeChoice(
      type, architecture: family.architecture, layers: layers, tensors: values.map { ($0.name, $0.weight.shape) })
    if types.isEmpty { notes += choice.notes }
    self.metadata = [:]
    self.tensors = []
    for (name, weight) in values {
      // Not a requantisation: these weights are rounded for the first time.
      let tensor = try packed(weight, name: name, as: types[name] ?? choice.type(of: name))
      tensors.append(tensor)
    }
    requantizations = requantizations.filter { entry in
      values.contains { $0.name == entry.tensor && $0.weight.blockFormat != nil }
    }
    let total = values.reduce(0) { $0 + $1.weight.shape.elementCount }
    try setMetadata(writing, naming: naming, parameters: total, tokenizer: tokenizer)
  }

  /// The tensors of the file with their numbers, in the reference converter's order.
  private static func values(
    _ writing: GGUFWriting, _ roles: [String]
  ) throws(FormatError) -> [(name: String, weight: Weight)] {
    let family = writing.family
    var values: [(name: String, weight: Weight)] = []
    for extra in try family.extraTensors(writing) {
      values.append((extra.name, .floats(extra.values, shape: [extra.values.count])))
    }
    let layerCounts = family.blocks.count == 1 ? [writing.layers.count] : try writing.stackCounts()
    let map = try GGUFTensorMap(roles: roles, family: family, layerCounts: layerCounts) { role throws(FormatError) in
      throw FormatError(
        .unexpectedTensor, file: writing.file, subject: .tensor(role),
        expected: "a tensor that architecture \(family.architecture) has a name for",
        found: "\(writing.weights[role].map { "\($0.type)\($0.shape)" } ?? "none")")
    }
    for slot in map.slots {
      var parts: [Weight] = []
      for role in slot.roles {
        guard let weight = writing.weights[role] else {
          throw FormatError(
            .missingTensor, file: writing.file, subject: .tensor(role),
            expected: "a part of " + slot.names.joined(separator: ", "))
        }
        // Steps that compute do so in single or half precision, whatever the checkpoint's type.
        parts.append(weight.type == .f16 ? weight : weight.cast(to: .f32))
      }
      let written = try slot.written(parts, writing.context(layer: slot.layer), file: writing.file)
      for (name, weight) in zip(slot.names, written) { values.append((name, weight)) }
    }
    return values
  }

  private mutating func setMetadata(
    _ writing: GGUFWriting, naming: GGUFNaming, parameters: Int, tokenizer: [GGUFMetadata.Entry]
  ) throws(FormatError) {
    let family = writing.family
    metadata.append("general.architecture", .string(family.architecture))
    for row in family.leadingMetadata {
      for entry in try writing.entries([row]) { metadata.append(entry.key, entry.value) }
    }
    metadata.append("general.type", .string("model"))
    for entry in naming.entries(config: writing.config, parameters: parameters) {
      metadata.append(entry.key, entry.value)
    }
    for entry in try writing.entries(family.metadata) { metadata.append(entry.key, entry.value) }
    metadata.append("general.quantization_version", .uint32(2))
    for entry in tokenizer { metadata.append(entry.key, entry.value) }
  }
}

extension GGUFFamily {
  /// Whether GGUF has no place for a parameter.
  func drops(_ role: String) -> Bool {
    dropped.contains { $0.hasSuffix("*") ? role.hasPrefix($0.dropLast()) : role == $0 }
  }
}

extension GGUFWriting {
  /// The number of layers of each stack.
  func stackCounts() throws(FormatError) -> [Int] {
    let reader = try ConfigurationReader(config, file: file)
    var counts: [Int] = []
    for stack in try ArchitectureRegistry.find(reader).layerStacks {
      counts.append(try reader.count(stack.key(in: reader), default: stack.defaultCount))
    }
    return counts
  }
}

extension ImportedModel {
  /// The counts the model was trained with: those of the checkpoint before any head was removed.
  fileprivate var originalCounts: [LayerSummary] {
    zip(layers, originalHeads).map { layer, heads in
      var original = layer
      if layer.heads == layer.keyValueHeads, let last = heads.last, last + 1 > layer.heads {
        original.heads = last + 1
        original.keyValueHeads = last + 1
      }
      return original
    }
  }
}
