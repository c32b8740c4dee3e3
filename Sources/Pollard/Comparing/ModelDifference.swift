import ModelArchitectures
import PollardBase

/// Two models side by side: structure, configuration, tensors by the part they play, and tokenizer. Headers only; no weights are read.
public struct ModelDifference: Report {
  /// What is shown of one side.
  public struct Side: Sendable {
    /// The path.
    public var path: String
    /// `safetensors`, `gguf` or `onnx`.
    public var format: String
    /// The class the model computes, nil when nothing says.
    public var architecture: String?
    /// Parameters; tied storage once, buffers not at all.
    public var parameters: Int
    /// Bytes of all tensors.
    public var bytes: Int
    /// The number of layers.
    public var layerCount: Int
  }

  /// A value that differs; nil where a side has none.
  public struct Change: Sendable, Hashable {
    /// What it is called: a key, or a layer's count.
    public var name: String
    /// The first model's value.
    public var first: String?
    /// The second model's value.
    public var second: String?
  }

  /// A tensor that both have, in another form.
  public struct TensorChange: Sendable, Hashable {
    /// The part it plays: the name in a Hugging Face checkpoint of the architecture, without the base model's prefix.
    public var role: String
    /// Element types.
    public var types: [String]
    /// Extents, as a Hugging Face checkpoint stores them.
    public var shapes: [[Int]]
    /// Bytes.
    public var bytes: [Int]
  }

  /// The models.
  public var sides: [Side]
  /// Layers whose counts differ.
  public var layers: [Change]
  /// Configuration keys that differ.
  public var configuration: [Change]
  /// Tensors that only the first model has, by role.
  public var onlyInFirst: [String]
  /// Tensors that only the second model has, by role.
  public var onlyInSecond: [String]
  /// Tensors of both whose type or extents differ.
  public var changed: [TensorChange]
  /// The number of tensors that agree in type and extents.
  public var sameTensors: Int
  /// Facts about the tokenizers that differ; nil when a side has none.
  public var tokenizer: [Change]?

  /// Whether nothing differs but names and formats.
  public var isEmpty: Bool {
    layers.isEmpty && configuration.isEmpty && onlyInFirst.isEmpty && onlyInSecond.isEmpty && changed.isEmpty
      && (tokenizer ?? []).isEmpty
  }
}

/// Compares two models of any formats by their headers.
///
/// - Throws: `FormatError` for a model that cannot be read.
public func diff(_ first: String, _ second: String) throws -> ModelDifference {
  var scores = ScoreRequest()
  scores.allowsUndecided = true
  return try ModelDifference(
    Model(at: first, allowingRagged: true, scores: scores), Model(at: second, allowingRagged: true, scores: scores))
}

extension ModelDifference {
  init(_ first: Model, _ second: Model) {
    sides = [first, second].map { model in
      let stored = model.stored
      return Side(
        path: model.path, format: stored.formatName, architecture: stored.className,
        parameters: stored.parameterCount, bytes: stored.tensorLines.reduce(0) { $0 + $1.bytes },
        layerCount: stored.layers.count)
    }
    layers = Self.layerChanges(first.layers, second.layers)
    configuration = Self.configurationChanges(first.stored.configuration, second.stored.configuration)
    (onlyInFirst, onlyInSecond, changed, sameTensors) = Self.tensorChanges(
      first.stored.tensorRoles, second.stored.tensorRoles)
    tokenizer = Self.tokenizerChanges(first.stored.tokenizerFacts, second.stored.tokenizerFacts)
  }

  private static func layerChanges(_ first: [LayerSummary], _ second: [LayerSummary]) -> [Change] {
    func text(_ layer: LayerSummary) -> String {
      let groups = layer.keyValueHeads == layer.heads ? "" : ", \(layer.keyValueHeads) key/value heads"
      return "\(layer.heads) heads\(groups) of \(layer.headDim), \(layer.feedForward) neurons"
    }
    return (0..<max(first.count, second.count)).compactMap { index in
      let a = index < first.count ? first[index] : nil
      let b = index < second.count ? second[index] : nil
      if let a, let b, a.hasSameCounts(as: b) { return nil }
      return Change(name: "layer \(index)", first: a.map(text), second: b.map(text))
    }
  }

  private static func configurationChanges(_ first: JSONValue?, _ second: JSONValue?) -> [Change] {
    guard let first, let second else { return [] }
    let a = first.flattened()
    let b = second.flattened()
    let values = Dictionary(b.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    let known = Set(a.map(\.key))
    let changes = a.compactMap { entry -> Change? in
      values[entry.key] == entry.value
        ? nil
        : Change(name: entry.key, first: entry.value, second: values[entry.key])
    }
    return changes + b.filter { !known.contains($0.key) }.map { Change(name: $0.key, first: nil, second: $0.value) }
  }

  private static func tensorChanges(
    _ first: [TensorRole], _ second: [TensorRole]
  ) -> (onlyInFirst: [String], onlyInSecond: [String], changed: [TensorChange], same: Int) {
    let others = Dictionary(second.map { ($0.role, $0) }, uniquingKeysWith: { first, _ in first })
    var onlyInFirst: [String] = []
    var changed: [TensorChange] = []
    var same = 0
    for tensor in first {
      guard let other = others[tensor.role] else {
        onlyInFirst.append(tensor.role)
        continue
      }
      if tensor.type == other.type, tensor.shape == other.shape {
        same += 1
      } else {
        changed.append(
          TensorChange(
            role: tensor.role, types: [tensor.type, other.type], shapes: [tensor.shape, other.shape],
            bytes: [tensor.bytes, other.bytes]))
      }
    }
    let known = Set(first.map(\.role))
    return (onlyInFirst, second.map(\.role).filter { !known.contains($0) }, changed, same)
  }

  private static func tokenizerChanges(
    _ first: [(name: String, value: String)]?, _ second: [(name: String, value: String)]?
  ) -> [Change]? {
    guard let first, let second else { return nil }
    let values = Dictionary(second.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    let known = Set(first.map(\.name))
    let changes = first.compactMap { fact in
      values[fact.name] == fact.value
        ? nil : Change(name: fact.name, first: fact.value, second: values[fact.name])
    }
    return changes
      + second.filter { !known.contains($0.name) }.map { Change(name: $0.name, first: nil, second: $0.value) }
  }
}

/// A stored tensor by the part it plays in its architecture, so that formats can be compared.
package struct TensorRole: Sendable, Hashable {
  /// The name in a Hugging Face checkpoint of the architecture, without the base model's prefix.
  package var role: String
  /// The element type's spelling in the file.
  package var type: String
  /// The extents as a Hugging Face checkpoint stores them.
  package var shape: [Int]
  /// The bytes it takes.
  package var bytes: Int
}

extension JSONValue {
  /// The leaves of a document by path: `rope_scaling.factor`; lists as their text.
  fileprivate func flattened(_ path: String = "") -> [(key: String, value: String)] {
    guard let object = objectValue else { return [(path, serialized(.compact))] }
    return object.members.flatMap { member in
      member.value.flattened(path.isEmpty ? member.key : "\(path).\(member.key)")
    }
  }
}
