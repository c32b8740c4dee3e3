import ModelGraph
import PollardBase
import TensorStorage

/// Llama and its relatives: pre-norm decoders with rotary positions, grouped queries and a gated feed-forward network.
///
///     x = x + O·attention(rms(x)); x = x + W_down (f(W_gate rms(x)) ⊙ W_up rms(x))     per layer, then a final norm
///
/// Tensors of layer N under `layers.N`: `self_attn.q_proj` `[heads·headDim, hidden]`, `self_attn.{k,v}_proj`
/// `[keyValueHeads·headDim, hidden]`, `self_attn.o_proj` `[hidden, heads·headDim]`, `mlp.{gate,up}_proj` `[ffn,
/// hidden]`, `mlp.down_proj` `[hidden, ffn]`, `input_layernorm`, `post_attention_layernorm`. What differs between the
/// relatives is in the properties.
struct LlamaArchitecture: Architecture {
  /// Where a class takes something from that another has or has not.
  enum Switch: Sendable {
    case always, never
    case key(String, default: Bool)

    func isOn(_ config: ConfigurationReader) throws(FormatError) -> Bool {
      switch self {
      case .always: true
      case .never: false
      case .key(let key, let value): try config.flag(key, default: value)
      }
    }
  }

  /// Which layers see only the last keys.
  enum Window: Sendable {
    case none
    /// All of them, `sliding_window` keys unless it is null.
    case everywhere(default: Int)
    /// Those in `layer_types`, or from `max_window_layers` on, if `use_sliding_window`.
    case byLayer
  }

  /// The width of a head when the configuration does not say.
  enum HeadDim: Sendable {
    case hiddenPerHead
    case constant(Int)
  }

  let modelType: String
  let classPrefix: String
  let basePrefix = "model."
  var queryBias = Switch.never
  var outputBias = Switch.never
  var feedForwardBias = Switch.never
  var hasHeadNorms = false
  var window = Window.none
  var headDim = HeadDim.hiddenPerHead
  /// Key/value heads of the class when the key is absent; nil for as many as query heads.
  var keyValueHeads: Int?
  var hidden = 4096
  var feedForward = 11008
  var layers = 32
  var heads = 32
  var vocabulary = 32000

  static let all: [any Architecture] = [
    LlamaArchitecture(
      modelType: "llama", classPrefix: "Llama", queryBias: .key("attention_bias", default: false),
      outputBias: .key("attention_bias", default: false), feedForwardBias: .key("mlp_bias", default: false)),
    LlamaArchitecture(
      modelType: "mistral", classPrefix: "Mistral", window: .everywhere(default: 4096), keyValueHeads: 8,
      feedForward: 14336),
    LlamaArchitecture(
      modelType: "qwen2", classPrefix: "Qwen2", queryBias: .always, window: .byLayer, keyValueHeads: 32,
      feedForward: 22016, vocabulary: 151936),
    LlamaArchitecture(
      modelType: "qwen3", classPrefix: "Qwen3", queryBias: .key("attention_bias", default: false),
      outputBias: .key("attention_bias", default: false), hasHeadNorms: true, window: .byLayer, headDim: .constant(128),
      keyValueHeads: 32, feedForward: 22016, vocabulary: 151936),
    LlamaArchitecture(
      modelType: "seed_oss", classPrefix: "SeedOss", queryBias: .key("attention_bias", default: true),
      outputBias: .key("attention_out_bias", default: false), feedForwardBias: .key("mlp_bias", default: false),
      headDim: .constant(128), keyValueHeads: 8, feedForward: 27648, layers: 64, heads: 80, vocabulary: 155136),
  ]

  var tasks: [ModelTask] { [.base, .causalLanguageModel] }

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    isStored("lm_head.weight") ? .causalLanguageModel : .base
  }

  func isBuffer(_ name: String) -> Bool {
    name.hasSuffix("rotary_emb.inv_freq") || name.hasSuffix("rotary_emb.cos_cached")
      || name.hasSuffix("rotary_emb.sin_cached")
  }

  func belongsToAnotherHead(_ name: String) -> Bool {
    name == "lm_head.weight" || name == "score.weight" || name.hasPrefix("qa_outputs.")
  }

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
    var queryBias: Bool
    var outputBias: Bool
    var feedForwardBias: Bool
  }

  func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let hidden = try config.count("hidden_size", default: hidden)
    let heads = try config.count("num_attention_heads", default: heads)
    let sharing = config.object["num_key_value_heads"] == nil ? keyValueHeads : nil
    let keyValueHeads = try config.optionalCount("num_key_value_heads") ?? sharing ?? heads
    guard heads % keyValueHeads == 0 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("num_key_value_heads"),
        expected: "a divisor of num_attention_heads \(heads)", found: "\(keyValueHeads)")
    }
    return Sizes(
      hidden: hidden, heads: heads, keyValueHeads: keyValueHeads, headDim: try headWidth(config, hidden, heads),
      layers: try config.count("num_hidden_layers", default: layers),
      feedForward: try config.count("intermediate_size", default: feedForward),
      vocabulary: try config.rows("vocab_size", default: vocabulary),
      epsilon: try config.positiveNumber("rms_norm_eps", default: 1e-6),
      activation: try ActivationFunction(config, key: "hidden_act", default: "silu"),
      rotary: try RotaryConfiguration(config), queryBias: try queryBias.isOn(config),
      outputBias: try outputBias.isOn(config), feedForwardBias: try feedForwardBias.isOn(config))
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
    switch window {
    case .none: return Array(repeating: nil, count: layers)
    case .everywhere(let size):
      let absent = config.object["sliding_window"] == nil
      return Array(
        repeating: try config.optionalInteger("sliding_window", in: range) ?? (absent ? size : nil), count: layers)
    case .byLayer:
      let isUsed = try config.flag("use_sliding_window", default: false)
      let absent = config.object["sliding_window"] == nil
      let size = isUsed ? try config.optionalInteger("sliding_window", in: range) ?? (absent ? 4096 : nil) : nil
      guard let types = config.value("layer_types") else {
        let first = try config.optionalInteger("max_window_layers", in: 0...(1 << 20)) ?? 28
        return (0..<layers).map { $0 >= first ? size : nil }
      }
      let names = types.arrayValue?.compactMap(\.stringValue) ?? []
      guard names.count == layers, names.allSatisfy({ ["full_attention", "sliding_attention"].contains($0) }),
        size != nil || !names.contains("sliding_attention")
      else {
        throw config.unusable(
          "layer_types",
          expected: "\(layers) of full_attention and, with use_sliding_window and sliding_window, sliding_attention",
          types)
      }
      return names.map { $0 == "sliding_attention" ? size : nil }
    }
  }
}
