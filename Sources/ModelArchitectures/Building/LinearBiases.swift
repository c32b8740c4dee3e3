import ModelGraph
import PollardBase
import TensorStorage

/// Attention with linear biases: what each head adds to the scores, its slope times the key's place.
struct LinearBiases {
  /// The places of the keys among those that exist, `[batch, 1, 1, sequence]`.
  var places: ValueID
  /// Which keys exist, `[batch, 1, 1, sequence]`.
  var mask: ValueID
  /// Whether slopes and products are rounded to bfloat16.
  var roundsToBFloat16: Bool
}

extension LinearBiases {
  /// The slopes of all heads: `2^(-8 (h + 1) / n)` for n heads, n a power of two; for other counts those of the next lower power, then every
  /// second one of the next higher.
  ///
  /// - Source: Press et al. 2022, section 3; computed in single precision as transformers does.
  static func slopes(_ count: Int) -> [Float] {
    var power = 1
    while power * 2 <= count { power *= 2 }
    func sequence(_ heads: Int) -> Float { exponential(-8 / Double(heads)) }
    var result = (1...power).map { raised(sequence(power), $0) }
    let rest = min(power, count - power)
    result += (0..<rest).map { raised(sequence(2 * power), 2 * $0 + 1) }
    return result
  }

  private static func exponential(_ power: Double) -> Float { Float(binaryExponential(power)) }

  private static func raised(_ base: Float, _ power: Int) -> Float { singlePower(base, Float(power)) }
}

extension ModelBuilder {
  /// The places and the mask of the keys, for all layers.
  ///
  /// The place of a key is the number of keys before it that exist; adding the same to all keys of a row changes no share, so that the places
  /// count from the first one.
  ///
  /// - attentionMask: `[batch, sequence]`, integers.
  mutating func linearBiases(_ attentionMask: ValueID, roundsToBFloat16: Bool) throws(FormatError) -> LinearBiases {
    scope = "alibi"
    let counts = try add("CumSum", [attentionMask, integerScalar(1)])
    let places = try add("Mul", [add("Sub", [counts, integerScalar(1)]), attentionMask])
    var numbers = try add("Cast", [places], ["to": .onnxType(.f32)])
    if roundsToBFloat16 { numbers = try roundedToBFloat16(numbers) }
    return LinearBiases(
      places: try add("Unsqueeze", [numbers, integers([1, 2])]), mask: try keyMask(attentionMask),
      roundsToBFloat16: roundsToBFloat16)
  }

  /// What one layer adds to its scores: `[batch, heads, 1, sequence]`, the lowest number where a key does not exist.
  ///
  /// - Parameters:
  ///   - heads: the heads' numbers among all that the slopes are made for.
  ///   - factor: what the products are multiplied by.
  mutating func linearBias(
    _ biases: LinearBiases, heads: [Int], of count: Int, factor: Double = 1, name: String
  ) throws(FormatError) -> ValueID {
    var all = LinearBiases.slopes(count)
    if biases.roundsToBFloat16 { all = all.map(\.roundedToBFloat16) }
    let slopes = constant("\(name).slopes", .floats(heads.map { all[$0] }, shape: [heads.count, 1, 1]))
    var bias = try add("Mul", [slopes, biases.places])
    if biases.roundsToBFloat16 { bias = try roundedToBFloat16(bias) }
    if factor != 1 { bias = try add("Mul", [bias, scalar(Float(factor))]) }
    return try add("Where", [biases.mask, bias, scalar(-.greatestFiniteMagnitude)])
  }

  private mutating func roundedToBFloat16(_ x: ValueID) throws(FormatError) -> ValueID {
    try add("Cast", [add("Cast", [x], ["to": .onnxType(.bf16)])], ["to": .onnxType(.f32)])
  }
}

extension Float {
  /// The nearest bfloat16, ties to even, of a finite number.
  fileprivate var roundedToBFloat16: Float {
    let rounded = bitPattern &+ 0x7fff &+ (bitPattern >> 16 & 1)
    return Float(bitPattern: rounded & 0xffff_0000)
  }
}
