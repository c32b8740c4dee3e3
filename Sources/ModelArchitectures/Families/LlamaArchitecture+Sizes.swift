import ModelGraph
import PollardBase

extension LlamaArchitecture {
  /// The sizes and switches of one model.
  struct Sizes {
    var hidden: Int
    var heads: Int
    var keyValueHeads: Int
    var headDim: Int
    var layers: Int
    var feedForward: Int
    var vocabulary: Int
    var epsilon: Double
    var activation: ActivationFunction
    var rotary: RotaryConfiguration
    /// The angles of layers with a window, where they differ.
    var windowRotary: RotaryConfiguration?
    var queryBias: Bool
    var outputBias: Bool
    var feedForwardBias: Bool
    /// What scores are multiplied by.
    var scoreScale: Double
    var scoreCap: Double?
    var logitCap: Double?
    var isParallel: Bool
    var hasEachHeadNorms: Bool
  }

  func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    for flag in refusedFlags { try config.refuse(flag) }
    let hidden = try config.count("hidden_size", default: hidden)
    let heads = try config.count("num_attention_heads", default: heads)
    let sharing = config.object["num_key_value_heads"] == nil ? keyValueHeads : nil
    let keyValueHeads = try config.optionalCount("num_key_value_heads") ?? sharing ?? heads
    guard heads % keyValueHeads == 0 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("num_key_value_heads"),
        expected: "a divisor of num_attention_heads \(heads)", found: "\(keyValueHeads)")
    }
    let headDim = try headWidth(config, hidden, heads)
    let angles = try angles(config)
    var scale = Double(headDim)
    if let (key, value) = queryScale { scale = try config.positiveNumber(key, default: Double(value)) }
    var isParallel = false
    if case .inTurnUnless(let key) = arrangement { isParallel = try config.flag(key, default: false) }
    var hasEachHeadNorms = false
    if case .ofEachHead(let key) = headNorm { hasEachHeadNorms = try config.flag(key, default: false) }
    return Sizes(
      hidden: hidden, heads: heads, keyValueHeads: keyValueHeads, headDim: headDim,
      layers: try config.count("num_hidden_layers", default: layers),
      feedForward: try config.count("intermediate_size", default: feedForward),
      vocabulary: try config.rows("vocab_size", default: vocabulary),
      epsilon: try config.positiveNumber(epsilonKey, default: epsilon),
      activation: try ActivationFunction(
        config, key: activationKey, default: activation, renamed: renamedActivations),
      rotary: angles[0], windowRotary: angles.count > 1 ? angles[1] : nil, queryBias: try queryBias.isOn(config),
      outputBias: try outputBias.isOn(config), feedForwardBias: try feedForwardBias.isOn(config),
      scoreScale: 1 / scale.squareRoot(), scoreCap: try scoreCap.value(config), logitCap: try logitCap.value(config),
      isParallel: isParallel, hasEachHeadNorms: hasEachHeadNorms)
  }

  /// The angles of all layers, or of those without and those with a window.
  func angles(_ config: ConfigurationReader) throws(FormatError) -> [RotaryConfiguration] {
    guard let windowRotary else { return [try RotaryConfiguration(config, rotary)] }
    return [
      try RotaryConfiguration(config, rotary, layerType: "full_attention"),
      try RotaryConfiguration(config, windowRotary, layerType: "sliding_attention"),
    ]
  }

  private func headWidth(_ config: ConfigurationReader, _ hidden: Int, _ heads: Int) throws(FormatError) -> Int {
    if let explicit = try config.optionalCount("head_dim") { return explicit }
    if case .constant(let width) = headDim, config.object["head_dim"] == nil { return width }
    guard hidden % heads == 0 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("head_dim"),
        expected: "a number, because hidden_size \(hidden) is no multiple of num_attention_heads \(heads)",
        found: "no value")
    }
    return hidden / heads
  }

  /// The number of keys each layer sees, nil for all of them.
  func windows(_ config: ConfigurationReader, layers: Int) throws(FormatError) -> [Int?] {
    let range = 1...(1 << 40)
    func size(default value: Int?) throws(FormatError) -> Int? {
      let isAbsent = config.object["sliding_window"] == nil
      return try config.optionalInteger("sliding_window", in: range) ?? (isAbsent ? value : nil)
    }
    switch window {
    case .none: return Array(repeating: nil, count: layers)
    case .everywhere(let value): return Array(repeating: try size(default: value), count: layers)
    case .byLayer:
      let size = try config.flag("use_sliding_window", default: false) ? size(default: 4096) : nil
      let condition = "with use_sliding_window and sliding_window, "
      if let listed = try listedWindows(config, layers, size, condition) { return listed }
      let first = try config.optionalInteger("max_window_layers", in: 0...(1 << 20)) ?? 28
      return (0..<layers).map { $0 >= first ? size : nil }
    case .allButLastOf(let usual, let key):
      let size = try size(default: 4096)
      if let listed = try listedWindows(config, layers, size, "with sliding_window, ") { return listed }
      var period = usual
      if let key { period = try config.count(key, default: usual) }
      guard let size else {
        if period == 1 { return Array(repeating: nil, count: layers) }
        throw config.missing("sliding_window", "a number, or layer_types that name no sliding_attention")
      }
      return (0..<layers).map { ($0 + 1) % period == 0 ? nil : size }
    }
  }

  /// The windows that `layer_types` asks for, or nil without that key.
  private func listedWindows(
    _ config: ConfigurationReader, _ layers: Int, _ size: Int?, _ condition: String
  ) throws(FormatError) -> [Int?]? {
    guard let types = config.value("layer_types") else { return nil }
    let names = types.arrayValue?.compactMap(\.stringValue) ?? []
    guard names.count == layers, names.allSatisfy({ ["full_attention", "sliding_attention"].contains($0) }),
      size != nil || !names.contains("sliding_attention")
    else {
      throw config.unusable(
        "layer_types", expected: "\(layers) of full_attention and, \(condition)sliding_attention", types)
    }
    return names.map { $0 == "sliding_attention" ? size : nil }
  }
}
