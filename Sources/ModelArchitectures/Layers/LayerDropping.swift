import PollardBase
import TensorStorage

/// A checkpoint without some of its layers: the others are numbered anew, and the configuration follows.
///
/// Nothing is computed: tensors of the layers are left out, and names change. What the layers before and after make of it is the model's own
/// affair, so a dropped layer is always the user's decision.
public struct LayerDropping: Sendable {
  /// The configuration of what remains.
  public private(set) var config: JSONValue
  /// The tensors of what remains, in their order.
  public private(set) var tensors: [NamedTensor] = []

  /// Leaves layers out.
  ///
  /// - Parameter dropped: the layers' numbers, stacks of an encoder and a decoder counted through.
  /// - Throws: `unknownArchitecture`; `cannotExpress` for a layer that does not exist, for all layers of a stack, and where what a layer computes
  ///   depends on its number in a way that the configuration cannot say.
  public init(_ dropped: [Int], config: JSONValue, configPath: String? = nil, tensors: [NamedTensor]) throws(FormatError) {
    let reader = try ConfigurationReader(config, file: configPath)
    let architecture = try ArchitectureRegistry.find(reader)
    var editor = ConfigurationEditor(config)
    var renumbered: [(stack: LayerStack, numbers: [Int: Int])] = []
    var total = 0
    let stacks = architecture.layerStacks.filter { stack in
      tensors.contains { $0.name.hasPrefix(stack.prefix) || $0.name.hasPrefix(architecture.basePrefix + stack.prefix) }
    }
    for stack in stacks {
      let count = try Self.count(stack, reader)
      let kept = (0..<count).filter { !dropped.contains(total + $0) }
      guard !kept.isEmpty else {
        throw Self.failure(reader, expected: "at least one layer to stay", found: "none of \(count)")
      }
      if !dropped.isEmpty, stacks.count > 1 || kept.count < count { editor.set(stack.key(in: reader), kept.count) }
      renumbered.append((stack, Dictionary(uniqueKeysWithValues: zip(kept, kept.indices))))
      if stacks.count == 1 { try Self.shorten(&editor, reader, architecture, kept, of: count) }
      total += count
    }
    if let outside = dropped.first(where: { !(0..<total).contains($0) }) {
      throw Self.failure(reader, expected: "layers from 0 to \(total - 1)", found: "\(outside)")
    }
    if !dropped.isEmpty, let reason = try architecture.layerNumberDependence(reader) {
      throw Self.failure(reader, expected: "layers that do not depend on their number", found: reason)
    }
    self.config = editor.config
    for tensor in tensors {
      guard let name = Self.name(of: tensor.name, architecture.basePrefix, renumbered) else { continue }
      var kept = tensor
      kept.name = name
      self.tensors.append(kept)
    }
  }

  private static func count(_ stack: LayerStack, _ config: ConfigurationReader) throws(FormatError) -> Int {
    let key = stack.key(in: config)
    guard !config.has(key), let fallback = stack.fallbackKey else {
      return try config.count(key, default: stack.defaultCount)
    }
    return try config.count(fallback, default: stack.defaultCount)
  }

  private static func failure(_ config: ConfigurationReader, expected: String, found: String) -> FormatError {
    FormatError(
      .cannotExpress, file: config.file, subject: .option("--drop-layers"), expected: expected, found: found)
  }

  /// Shortens every list with an entry for each layer, and writes out rules that count layers.
  private static func shorten(
    _ editor: inout ConfigurationEditor, _ config: ConfigurationReader, _ architecture: any Architecture,
    _ kept: [Int], of count: Int
  ) throws(FormatError) {
    if kept.count == count { return }
    if let types = try architecture.explicitLayerTypes(config), types.count == count {
      editor.set("layer_types", .array(kept.map { JSONValue(types[$0]) }))
    } else if let types = config.value("layer_types")?.arrayValue, types.count == count {
      editor.set("layer_types", .array(kept.map { types[$0] }))
    }
    if let first = config.value("max_window_layers")?.intValue, (0...count).contains(first) {
      // Layers from this number on have a window.
      editor.set("max_window_layers", kept.count { $0 < first })
    }
    if case .object(let pruned)? = config.value("pruned_heads") {
      let numbers = Dictionary(uniqueKeysWithValues: zip(kept.map(String.init), kept.indices.map(String.init)))
      editor.set(
        "pruned_heads",
        .object(
          JSONObject(
            pruned.members.compactMap { member in numbers[member.key].map { (key: $0, value: member.value) } })))
    }
  }

  /// A tensor's name after the renumbering; nil when its layer is gone.
  private static func name(
    of tensor: String, _ basePrefix: String, _ stacks: [(stack: LayerStack, numbers: [Int: Int])]
  ) -> String? {
    for (stack, numbers) in stacks {
      for prefix in [basePrefix + stack.prefix, stack.prefix] where tensor.hasPrefix(prefix) {
        let rest = tensor.dropFirst(prefix.count)
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { continue }
        let suffix = rest.dropFirst(digits.count)
        if let place = numbers[number] { return prefix + String(place) + suffix }
        let isShared = number == 0 && stack.sharedSuffixes.contains { suffix.hasSuffix($0) }
        return isShared ? prefix + "0" + suffix : nil
      }
    }
    return tensor
  }
}
