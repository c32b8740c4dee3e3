import PollardBase

/// How a configuration asks for rotary position embeddings, in the spelling of transformers 4 or 5.
///
/// 4.x: `rope_theta` and `rope_scaling`. 5.x: one object `rope_parameters` with `rope_type`, `rope_theta` and the rest.
package struct RotaryConfiguration: Sendable, Equatable {
  /// A way of stretching the angles over longer texts.
  package enum Scaling: Sendable, Equatable {
    /// None.
    case unscaled
    /// All frequencies divided by a factor.
    case linear(factor: Double)
    /// A larger base once a text is longer than `length`.
    case dynamic(factor: Double, length: Int)
    /// Low frequencies divided, high ones kept, a blend between.
    case llama3(factor: Double, low: Double, high: Double, length: Int)
    /// A ramp over the frequencies between dividing and keeping.
    case yarn(factor: Double, fast: Double, slow: Double, length: Int, truncates: Bool)
    /// A divisor per frequency: one list up to `length` tokens, another beyond.
    case longRope(short: [Double], long: [Double], length: Int)
  }

  /// The base of the geometric sequence of wavelengths.
  package var theta: Double
  /// The stretching.
  package var scaling: Scaling
  /// What cosines and sines are multiplied by.
  package var attentionFactor: Double = 1
  /// The part of each head that is turned, from its first element on.
  package var turnedPart: Double = 1

  /// What a class takes where its configuration says nothing.
  struct Defaults: Sendable {
    var theta = 10_000.0
    /// The key of the base beside `rope_parameters`.
    var thetaKey = "rope_theta"
    /// The key of the stretching in configurations without `rope_parameters`; nil where there is none.
    var scalingKey: String? = "rope_scaling"
    /// The part of each head that is turned; nil where the class turns whole heads only.
    var turnedPart: Double?
    /// `max_position_embeddings`.
    var places = 2048
    /// `original_max_position_embeddings`, in classes that have the key beside the rotary ones.
    var originalPlaces: Int?
    /// Whether the type "yarn" is an old name of "longrope".
    var yarnIsLongRope = false
  }

  /// Whether frequencies are divided by a list.
  var hasFactorLists: Bool { if case .longRope = scaling { true } else { false } }

  /// How many elements of a head are turned.
  ///
  /// - Throws: `unsupportedConfiguration` for an odd number.
  func turnedElements(headDim: Int, file: String?) throws(FormatError) -> Int {
    // Cut off as transformers does it, in double precision.
    let count = Int(Double(headDim) * turnedPart)
    guard count > 0, count % 2 == 0 else {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(turnedPart == 1 ? "head_dim" : "partial_rotary_factor"),
        expected: "an even number of turned elements, from 2 on",
        found: "\(turnedPart) of \(headDim)")
    }
    return count
  }

  /// Reads the keys of a whole configuration.
  ///
  /// - Throws: `unsupportedConfiguration` naming a type that is not described; `configurationValue`.
  package init(json: JSONValue) throws(FormatError) { try self.init(ConfigurationReader(json, file: nil)) }

  /// - Parameter layerType: the kind of layer, for a model whose kinds have angles of their own: the entry of that name in
  ///   `rope_parameters`.
  /// - Throws: `unsupportedConfiguration` naming a type that is not described; `configurationValue`.
  init(
    _ config: ConfigurationReader, _ defaults: Defaults = Defaults(), layerType: String? = nil
  ) throws(FormatError) {
    var newer = try config.nested("rope_parameters")
    if let layerType, let all = newer { newer = try all.nested(layerType) }
    var older: ConfigurationReader?
    if !config.has("rope_parameters"), let key = defaults.scalingKey { older = try config.nested(key) }
    let inner = newer ?? older
    let outerTheta = try config.positiveNumber(defaults.thetaKey, default: defaults.theta)
    theta = try newer?.positiveNumber("rope_theta", default: outerTheta) ?? outerTheta
    scaling = .unscaled
    var asked = try newer?.optionalNumber("partial_rotary_factor")
    if asked == nil { asked = try config.optionalNumber("partial_rotary_factor") }
    turnedPart = asked ?? defaults.turnedPart ?? 1
    guard turnedPart > 0, turnedPart <= 1, turnedPart == 1 || defaults.turnedPart != nil else {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("partial_rotary_factor"),
        expected: defaults.turnedPart == nil ? "1" : "a number above 0, at most 1", found: "\(turnedPart)")
    }
    guard let inner else { return }
    let key = newer == nil ? "rope_scaling" : "rope_parameters"
    if let nested = inner.object.members.first(where: { $0.value.objectValue != nil }) {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key(key), expected: "the same angles in every layer",
        found: "an entry for \"\(nested.key)\"")
    }
    var type = try inner.text("rope_type", default: inner.text("type", default: "default"))
    if type == "yarn", defaults.yarnIsLongRope { type = "longrope" }
    try readScaling(type, inner, config, defaults, key: key)
  }

  private mutating func readScaling(
    _ type: String, _ inner: ConfigurationReader, _ config: ConfigurationReader, _ defaults: Defaults, key: String
  ) throws(FormatError) {
    let limit = 1 << 40
    let places = try config.optionalInteger("max_position_embeddings", in: 1...limit) ?? defaults.places
    let outerLength =
      try config.optionalInteger("original_max_position_embeddings", in: 1...limit) ?? defaults.originalPlaces
    let innerLength = try inner.optionalInteger("original_max_position_embeddings", in: 1...limit)
    let length = outerLength ?? innerLength ?? places
    switch type {
    case "default": break
    case "linear": scaling = .linear(factor: try inner.positiveNumber("factor"))
    case "dynamic": scaling = .dynamic(factor: try inner.positiveNumber("factor"), length: places)
    case "llama3":
      scaling = .llama3(
        factor: try inner.positiveNumber("factor"), low: try inner.positiveNumber("low_freq_factor"),
        high: try inner.positiveNumber("high_freq_factor"), length: length)
      guard try inner.number("high_freq_factor") != inner.number("low_freq_factor") else {
        throw inner.unusable(
          "high_freq_factor", expected: "more than low_freq_factor", inner.value("high_freq_factor") ?? .null)
      }
    case "yarn":
      let factor = try inner.positiveNumber("factor")
      scaling = .yarn(
        factor: factor, fast: try Self.nonZero(inner.optionalNumber("beta_fast")) ?? 32,
        slow: try Self.nonZero(inner.optionalNumber("beta_slow")) ?? 1, length: length,
        truncates: try inner.flag("truncate", default: true))
      let implied = try Self.yarnAttentionFactor(inner, factor)
      attentionFactor = try inner.optionalNumber("attention_factor") ?? implied
    case "longrope", "su":
      let short = try inner.numbers("short_factor")
      let long = try inner.numbers("long_factor")
      scaling = .longRope(short: short, long: long, length: length)
      let ratio = try inner.optionalNumber("factor") ?? Double(places) / Double(length)
      attentionFactor = try inner.optionalNumber("attention_factor") ?? Self.longRopeAttentionFactor(ratio, length)
    default:
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("\(key).rope_type"),
        expected: "one of default, linear, dynamic, llama3, yarn, longrope", found: "\"\(type)\"")
    }
  }

  /// Zero counts as not given, as it does in transformers.
  private static func nonZero(_ value: Double?) -> Double? { value == 0 ? nil : value }

  private static func yarnAttentionFactor(
    _ inner: ConfigurationReader, _ factor: Double
  ) throws(FormatError) -> Double {
    func magnitude(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * naturalLogarithm(factor) + 1 }
    guard let all = nonZero(try inner.optionalNumber("mscale_all_dim")),
      let own = nonZero(try inner.optionalNumber("mscale"))
    else { return magnitude(1) }
    return magnitude(own) / magnitude(all)
  }

  private static func longRopeAttentionFactor(_ ratio: Double, _ length: Int) -> Double {
    ratio <= 1 || length <= 1 ? 1 : (1 + naturalLogarithm(ratio) / naturalLogarithm(Double(length))).squareRoot()
  }
}
