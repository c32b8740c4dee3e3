import ModelGraph
import PollardBase
import TensorStorage

/// What becomes of a checkpoint's tensors when residual channels go.
public struct WidthChange: Sendable {
  /// The channels that stay, ascending.
  public var kept: [Int]
  /// The axes that carry the channels, by the name of the stored tensor, and as it is stored.
  public var axes: [String: Set<Int>]
  /// The axes along which tensors write the stream.
  public var writers: [String: Set<Int>]
  /// Channels that writers leave at zero although their tensors may hold others: what a mask declares off and stays as fill.
  public var silenced: [Int]
  /// What parameters are multiplied by; those left out stay.
  public var factors: [String: Double]
  /// What ε of the norms is multiplied by.
  public var epsilonFactor: Double

  /// Creates a change.
  public init(
    kept: [Int], axes: [String: Set<Int>], writers: [String: Set<Int>] = [:], silenced: [Int] = [],
    factors: [String: Double] = [:], epsilonFactor: Double = 1
  ) {
    self.kept = kept
    self.axes = axes
    self.writers = writers
    self.silenced = silenced
    self.factors = factors
    self.epsilonFactor = epsilonFactor
  }
}

extension ImportedModel {
  /// The stored tensor that an initializer is, and which of its axes an axis of the initializer is.
  ///
  /// Nil for initializers that no tensor stands for, or that are several tensors.
  public func parameter(of value: ValueID) -> (tensor: String, isTransposed: Bool)? {
    if let binding = bindings.first(where: { $0.value == value }) {
      return binding.row == nil ? (binding.tensor, binding.isTransposed) : nil
    }
    let name = graph[value].name
    return bindings.first { $0.tiedInitializers.contains(name) }.map { ($0.tensor, true) }
  }

  /// The same model with fewer residual channels.
  ///
  /// Parameters are multiplied in double precision and rounded once, to the type they are stored in.
  ///
  /// - Throws: `cannotExpress` where the class cannot hold another number of channels, or a tensor that the graph does not read would have to
  ///   follow; and what reading the result as a model throws.
  /// - Complexity: O(number of tensors); no weight is read.
  public func narrowed(_ change: WidthChange, allowingRagged: Bool = false) throws(FormatError) -> ImportedModel {
    let reader = try ConfigurationReader(config, file: configPath)
    let keys = try architecture.widthKeys(reader)
    let before = try reader.count(keys.hidden, default: 0)
    var editor = ConfigurationEditor(config)
    editor.set(keys.hidden, change.kept.count)
    editor.setIfAbsent(keys.headDim.key, JSONValue(keys.headDim.value))
    if editor.config[keys.headDim.key]?.isNull ?? false { editor.set(keys.headDim.key, keys.headDim.value) }
    if change.epsilonFactor != 1 {
      editor.set(keys.epsilon.key, JSONValue(keys.epsilon.value * change.epsilonFactor))
    }

    var addends: [String: Float] = [:]
    for binding in bindings { addends[binding.tensor] = binding.addend }
    var copies: [String: String] = [:]
    for tensor in passedThrough {
      switch tensor.reason {
      case .copy(let original): copies[tensor.name] = original
      case .buffer: break
      case .unused:
        // Nothing tells which of its axes carries channels.
        if tensor.weight.shape.extents.contains(before) {
          throw FormatError(
            .cannotExpress, file: configPath, subject: .tensor(tensor.name),
            expected: "tensors that the model's class reads",
            found: "one that it does not read, of the channels' extent",
            remedy: "remove the tensor, or name the class that reads it in architectures")
        }
      }
    }
    var result: [NamedTensor] = []
    for tensor in tensors {
      let name = copies[tensor.name] ?? tensor.name
      var narrow = tensor
      narrow.weight = Self.changed(tensor.weight, name, addend: addends[name] ?? 0, change)
      result.append(narrow)
    }
    return try ImportedModel(
      config: editor.config, configPath: configPath, tensors: result, allowingRagged: allowingRagged)
  }

  private static func changed(_ weight: Weight, _ name: String, addend: Float, _ change: WidthChange) -> Weight {
    var result = weight
    for axis in change.writers[name] ?? [] { result = result.zeroing(change.silenced, axis: axis) }
    for axis in (change.axes[name] ?? []).sorted() { result = result.keeping(change.kept, axis: axis) }
    guard let factor = change.factors[name], factor != 1 else { return result }
    let ones = Shape(Array(repeating: 1, count: weight.shape.rank))
    func number(_ value: Double) -> Weight {
      .literal(bytes: withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }, type: .f64, shape: ones)
    }
    var wide = result.cast(to: .f64)
    if addend != 0 { wide = wide.adding(number(Double(addend))) }
    wide = wide.multiplied(by: number(factor))
    if addend != 0 { wide = wide.adding(number(-Double(addend))) }
    return wide.cast(to: weight.type)
  }

  /// The tensors as they lie in the checkpoint, pairs of weight and mask resolved.
  public var storedTensors: [NamedTensor] { tensors }
}
