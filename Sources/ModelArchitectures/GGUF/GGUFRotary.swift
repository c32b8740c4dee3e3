import CheckpointFormats
import PollardBase

/// Rotary positions in both spellings.
package enum GGUFRotary {
  /// The rotary object of a configuration, in either dialect of transformers, as the reference converter sees it.
  static func parameters(_ config: JSONValue) -> JSONValue {
    var parameters = config["rope_parameters"] ?? config["rope_scaling"] ?? .null
    if parameters.isNull { parameters = [:] }
    // Nested by the kind of layer: what layers without a window use counts.
    if let full = parameters["full_attention"] { parameters = full }
    if parameters["rope_theta"] == nil, let theta = config["rope_theta"], !theta.isNull {
      parameters = parameters.settingKey("rope_theta", to: theta)
    }
    if parameters["rope_type"] == nil, let type = parameters["type"] {
      parameters = parameters.settingKey("rope_type", to: type)
    }
    if parameters["original_max_position_embeddings"] == nil, let length = config["original_max_position_embeddings"] {
      parameters = parameters.settingKey("original_max_position_embeddings", to: length)
    }
    return parameters
  }

  static func base(_ writing: GGUFWriting, default value: Double) throws(FormatError) -> JSONValue? {
    parameters(writing.config)["rope_theta"] ?? JSONValue(value)
  }

  /// The keys `rope.scaling.*`.
  static func scalingEntries(_ writing: GGUFWriting) throws(FormatError) -> [GGUFMetadata.Entry] {
    let parameters = parameters(writing.config)
    guard let type = parameters["rope_type"]?.stringValue else { return [] }
    var entries: [GGUFMetadata.Entry] = []
    func add(_ name: String, _ value: GGUFValue) {
      entries.append(GGUFMetadata.Entry("\(writing.family.architecture).rope.scaling.\(name)", value))
    }
    func number(_ key: String, _ other: String? = nil) -> Float? {
      (parameters[key] ?? other.flatMap { parameters[$0] })?.doubleValue.map { Float($0) }
    }
    switch type {
    case "linear":
      guard let factor = number("factor") else { return [] }
      add("type", .string("linear"))
      add("factor", .float32(factor))
    case "yarn":
      guard let factor = number("factor") else { return [] }
      add("type", .string("yarn"))
      add("factor", .float32(factor))
      let length =
        parameters["original_max_position_embeddings"]?.intValue
        ?? writing.config["max_position_embeddings"]?.intValue ?? 2048
      add("original_context_length", .uint32(UInt32(clamping: length)))
      for (name, key, other) in [
        ("yarn_ext_factor", "extrapolation_factor", nil), ("yarn_attn_factor", "attention_factor", "attn_factor"),
        ("yarn_beta_fast", "beta_fast", nil), ("yarn_beta_slow", "beta_slow", nil as String?),
      ] {
        if let value = number(key, other) { add(name, .float32(value)) }
      }
    case "su", "longrope": add("type", .string("longrope"))
    default: break
    }
    return entries
  }

  /// Refuses what llama.cpp would compute with other angles.
  static func check(_ writing: GGUFWriting) throws(FormatError) -> [String] {
    let parameters = parameters(writing.config)
    guard let type = parameters["rope_type"]?.stringValue, type == "dynamic" else { return [] }
    return ["llama.cpp does not stretch angles with the length of the text (rope type dynamic), so long texts differ"]
  }

  // MARK: Frequency factors

  /// The tensor `rope_freqs.weight` of a Llama 3 model, and the lists of one whose factors depend on the text's length.
  static func frequencyFactors(_ writing: GGUFWriting) throws(FormatError) -> [GGUFExtraTensor] {
    let parameters = parameters(writing.config)
    switch parameters["rope_type"]?.stringValue?.lowercased() {
    case "llama3":
      let scaling = Llama3Factors(
        factor: parameters["factor"]?.doubleValue ?? 8, low: parameters["low_freq_factor"]?.doubleValue ?? 1,
        high: parameters["high_freq_factor"]?.doubleValue ?? 4,
        length: parameters["original_max_position_embeddings"]?.doubleValue ?? 8192)
      let base = parameters["rope_theta"]?.doubleValue ?? 10_000
      return [GGUFExtraTensor(name: "rope_freqs.weight", values: scaling.values(base: base, width: writing.headDim))]
    case "longrope", "su":
      var tensors: [GGUFExtraTensor] = []
      for (key, name) in [("long_factor", "rope_factors_long"), ("short_factor", "rope_factors_short")] {
        guard let list = parameters[key]?.arrayValue else { continue }
        tensors.append(
          GGUFExtraTensor(name: name + ".weight", values: list.compactMap { $0.doubleValue.map { Float($0) } }))
      }
      return tensors
    default: return []
    }
  }

  /// The divisors of rotary frequencies that Llama 3 stretches texts by.
  package struct Llama3Factors: Equatable {
    package var factor: Double
    package var low: Double
    package var high: Double
    package var length: Double

    /// One divisor for each pair, in single precision step by step as the reference converter computes them.
    package func values(base: Double, width: Int) -> [Float] {
      let pi = Float(2 * Double.pi)
      return RotaryFrequencies.unscaled(theta: base, headDim: width).map { frequency in
        let wavelength = (1 / frequency) * pi
        if wavelength < Float(length / high) { return 1 }
        if wavelength > Float(length / low) { return Float(factor) }
        let smooth = ((1 / wavelength) * Float(length) - Float(low)) / Float(high - low)
        return 1 / ((1 - smooth) / Float(factor) + smooth)
      }
    }

    /// The parameters that give a list of divisors to the bit, or nil when none are found.
    ///
    /// The list tells the factor (its largest number) and, by the numbers between, two of the three others; files made from
    /// real models have `low_freq_factor` 1.
    package init?(fitting values: [Float], base: Double, places: Int) {
      guard let largest = values.max(), largest > 1, values.allSatisfy({ $0 >= 1 && $0.isFinite }) else { return nil }
      let width = values.count * 2
      let lengths = [13, 12, 11, 14, 15, 16, 17, 10, 9, 8, 7, 6, 5, 4, 3].map { Double(1 << $0) }
      let factors = Set([Double(largest), Double(largest).rounded()]).sorted()
      var candidates: [(low: Double, high: Double, length: Double)] = []
      let waves = RotaryFrequencies.unscaled(theta: base, headDim: width).map { Double(1 / $0) * 2 * Double.pi }
      for factor in factors {
        // smooth = (length / wavelength - low) / (high - low) is linear in the inverse wavelength.
        let between = zip(values, waves).compactMap { value, wave -> (x: Double, y: Double)? in
          let smooth = (1 / Double(value) - 1 / factor) / (1 - 1 / factor)
          return value > 1 && Double(value) < factor ? (1 / wave, smooth) : nil
        }
        // One number between leaves two of the three open: the usual ones are taken.
        if let one = between.first { candidates.append((1, 4, ((one.y * 3 + 1) / one.x).rounded())) }
        guard let first = between.first, let last = between.last, first.x != last.x else { continue }
        let slope = (last.y - first.y) / (last.x - first.x)
        let start = first.y - slope * first.x
        if start < 0 {
          // With low 1: high = 1 - 1 / start, length = slope · (high - low).
          for low in [1, 2, 0.5, 4] as [Double] {
            let high = (low * (1 - 1 / start) * 1024).rounded() / 1024
            candidates.append((low, high, (slope * (high - low)).rounded()))
          }
        }
      }
      for length in [Double(places)] + lengths { candidates.append((1, 4, length)) }
      for factor in factors {
        for candidate in candidates where candidate.high > candidate.low && candidate.length > 0 {
          let fitted = Self(
            factor: factor, low: candidate.low, high: candidate.high, length: candidate.length)
          if fitted.values(base: base, width: width).map(\.bitPattern) == values.map(\.bitPattern) {
            self = fitted
            return
          }
        }
      }
      return nil
    }

    package init(factor: Double, low: Double, high: Double, length: Double) {
      self.factor = factor
      self.low = low
      self.high = high
      self.length = length
    }
  }

  // MARK: Reading

  /// Sets `rope_theta` and `rope_scaling`.
  ///
  /// - Throws: `unsupportedConfiguration` for scalings that no configuration has.
  static func read(_ reading: GGUFReading, base: Double, into config: inout JSONObject) throws(FormatError) {
    let theta = try reading.number("rope.freq_base") ?? JSONValue(base)
    config.set("rope_theta", to: theta)
    config.set("rope_scaling", to: try scaling(reading, theta.doubleValue ?? base, config) ?? .null)
  }

  private static func scaling(
    _ reading: GGUFReading, _ base: Double, _ config: JSONObject
  ) throws(FormatError) -> JSONValue? {
    var factor = try reading.number("rope.scaling.factor")
    if factor == nil { factor = try reading.number("rope.scale_linear") }
    let type = try reading.text("rope.scaling.type") ?? "linear"
    let places = config["max_position_embeddings"]?.intValue ?? 2048
    let length = try reading.count("rope.scaling.original_context_length") ?? places
    let isStretched = factor?.doubleValue.map { $0 != 0 && $0 != 1 } ?? false
    let shortList = try reading.vector("rope_factors_short.weight")
    let longList = try reading.vector("rope_factors_long.weight")
    if let values = try reading.vector("rope_freqs.weight") {
      guard !isStretched else { throw refusal(reading, "rope.scaling.type", "none beside rope_freqs.weight", type) }
      if values.allSatisfy({ $0 == 1 }) { return nil }
      if let fitted = Llama3Factors(fitting: values, base: base, places: places) {
        return [
          "factor": JSONValue(fitted.factor), "high_freq_factor": JSONValue(fitted.high),
          "low_freq_factor": JSONValue(fitted.low),
          "original_max_position_embeddings": JSONValue(Int(fitted.length)), "rope_type": "llama3",
        ]
      }
      // Divisors that no formula is found for are a list for short texts and the same for long ones.
      let list = JSONValue.array(values.map(GGUFReading.json))
      return [
        "attention_factor": 1.0, "factor": 1.0, "long_factor": list,
        "original_max_position_embeddings": JSONValue(places), "rope_type": "longrope", "short_factor": list,
      ]
    }
    switch type {
    case "none": return nil
    case "linear": return isStretched ? ["factor": factor ?? 1.0, "rope_type": "linear"] : nil
    case "yarn":
      var object: JSONObject = ["rope_type": "yarn", "factor": factor ?? 1.0]
      object.set("original_max_position_embeddings", to: JSONValue(length))
      for (name, key) in [
        ("yarn_attn_factor", "attention_factor"), ("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow"),
      ] {
        if let value = try reading.number("rope.scaling.\(name)") { object.set(key, to: value) }
      }
      return .object(object)
    case "longrope":
      guard let short = shortList, let long = longList else {
        throw FormatError(
          .missingTensor, file: reading.file, subject: .tensor("rope_factors_long.weight"),
          expected: "the lists of factors that rope.scaling.type longrope divides by")
      }
      var object: JSONObject = [
        "long_factor": .array(long.map(GGUFReading.json)), "rope_type": "longrope",
        "short_factor": .array(short.map(GGUFReading.json)),
      ]
      object.set("original_max_position_embeddings", to: JSONValue(length))
      if let value = try reading.number("rope.scaling.attn_factor") { object.set("attention_factor", to: value) }
      return .object(object)
    default: throw refusal(reading, "rope.scaling.type", "none, linear, yarn or longrope", type)
    }
  }

  private static func refusal(
    _ reading: GGUFReading, _ key: String, _ expected: String, _ found: String
  ) -> FormatError {
    FormatError(
      .unsupportedConfiguration, file: reading.file, subject: .key(reading.key(key)), expected: expected,
      found: "\"\(found)\"")
  }
}
