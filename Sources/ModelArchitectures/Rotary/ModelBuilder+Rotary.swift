import ModelGraph
import PollardBase
import TensorStorage

/// Cosines and sines of the angles of every token, `[batch, sequence, headDim / 2]`, shared by all layers.
struct RotaryAngles {
  var cosines: ValueID
  var sines: ValueID
}

extension ModelBuilder {
  /// Computes the angles from the tokens' positions `[batch, sequence]`.
  ///
  /// - Parameters:
  ///   - headDim: how many elements of each head are turned.
  ///   - name: what tells these angles from others of the same model in the names of their constants.
  mutating func rotaryAngles(
    _ positionIDs: ValueID, _ rotary: RotaryConfiguration, headDim: Int, name: String = "", file: String?
  ) throws(FormatError) -> RotaryAngles {
    guard headDim % 2 == 0 else {
      throw FormatError(
        .configurationValue, file: file, subject: .key("head_dim"), expected: "an even number", found: "\(headDim)")
    }
    scope = "rotary_emb\(name)"
    let positions = try add("Cast", [positionIDs], ["to": .onnxType(.f32)])
    let frequencies = try inverseFrequencies(positions, rotary, headDim: headDim, name: name, file: file)
    let angles = try add("Mul", [add("Unsqueeze", [positions, integers([2])]), frequencies])
    var cosines = try add("Cos", [angles])
    var sines = try add("Sin", [angles])
    if rotary.attentionFactor != 1 {
      let factor = scalar(Float(rotary.attentionFactor))
      cosines = try add("Mul", [cosines, factor])
      sines = try add("Mul", [sines, factor])
    }
    return RotaryAngles(cosines: cosines, sines: sines)
  }

  /// Rotates queries or keys `[batch, heads, sequence, headDim]`; element i of a head pairs with i + headDim / 2.
  ///
  /// - Parameter size: how many of a head's elements are turned, from the first; nil for all. Pairs are then i and i + size / 2.
  mutating func rotated(_ x: ValueID, _ angles: RotaryAngles, size: Int? = nil) throws(FormatError) -> ValueID {
    try add(
      "RotaryEmbedding", [x, angles.cosines, angles.sines],
      size.map { ["rotary_embedding_dim": .integer($0)] } ?? [:])
  }

  private mutating func inverseFrequencies(
    _ positions: ValueID, _ rotary: RotaryConfiguration, headDim: Int, name: String, file: String?
  ) throws(FormatError) -> ValueID {
    func list(_ values: [Float]) -> Weight { .floats(values, shape: [values.count]) }
    if let values = RotaryFrequencies.values(rotary, headDim: headDim) {
      return constant("inv_freq\(name)", list(values))
    }
    switch rotary.scaling {
    case .dynamic(let factor, let length):
      return try dynamicFrequencies(positions, rotary.theta, factor, length, headDim: headDim, file: file)
    case .longRope(let short, let long, let length):
      for (key, factors) in [("short_factor", short), ("long_factor", long)] where factors.count != headDim / 2 {
        throw FormatError(
          .configurationValue, file: file, subject: .key(key),
          expected: "\(headDim / 2) numbers, half of what is turned",
          found: "\(factors.count)")
      }
      let within = constant(
        "inv_freq\(name).short", list(RotaryFrequencies.longRope(theta: rotary.theta, factors: short, headDim: headDim))
      )
      let beyond = constant(
        "inv_freq\(name).long", list(RotaryFrequencies.longRope(theta: rotary.theta, factors: long, headDim: headDim)))
      let isLong = try add("Greater", [textLength(positions), scalar(Float(length))])
      return try add("Where", [isLong, beyond, within])
    case .unscaled, .linear, .llama3, .yarn:
      preconditionFailure("these frequencies do not depend on the text")
    }
  }

  /// Largest position + 1, a scalar.
  private mutating func textLength(_ positions: ValueID) throws(FormatError) -> ValueID {
    let last = try add("ReduceMax", [positions], ["keepdims": .integer(0)])
    return try add("Add", [last, scalar(1)])
  }

  /// `1 / b^(2i / headDim)` with `b = θ · (factor · n / length - (factor - 1))^(headDim / (headDim - 2))`, n at least
  /// `length`.
  private mutating func dynamicFrequencies(
    _ positions: ValueID, _ theta: Double, _ factor: Double, _ length: Int, headDim: Int, file: String?
  ) throws(FormatError) -> ValueID {
    guard headDim > 2 else {
      throw FormatError(
        .configurationValue, file: file, subject: .key("head_dim"), expected: "more than 2 for dynamic angles",
        found: "\(headDim)")
    }
    let count = try add("Max", [textLength(positions), scalar(Float(length))])
    let stretched = try add("Div", [add("Mul", [count, scalar(Float(factor))]), scalar(Float(length))])
    let growth = try add("Sub", [stretched, scalar(Float(factor - 1))])
    let power = try add("Pow", [growth, scalar(Float(Double(headDim) / Double(headDim - 2)))])
    let base = try add("Mul", [power, scalar(Float(theta))])
    let exponents = RotaryFrequencies.exponents(headDim)
    let waves = try add("Pow", [base, constant("rotary_exponents", .floats(exponents, shape: [exponents.count]))])
    return try add("Reciprocal", [waves])
  }
}
