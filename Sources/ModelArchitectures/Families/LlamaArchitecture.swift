import ModelGraph
import PollardBase
import TensorStorage

/// Llama and its relatives: decoders with rotary positions, grouped queries and a gated feed-forward network.
///
///     x = x + O·attention(norm(x)); x = x + W_down (f(W_gate norm(x)) ⊙ W_up norm(x))     per layer, then a final norm
///
/// Tensors of layer N under `layers.N`: `self_attn.q_proj` `[heads·headDim, hidden]`, `self_attn.{k,v}_proj`
/// `[keyValueHeads·headDim, hidden]`, `self_attn.o_proj` `[hidden, heads·headDim]`, `mlp.{gate,up}_proj` `[ffn,
/// hidden]`, `mlp.down_proj` `[hidden, ffn]`, `input_layernorm`, `post_attention_layernorm`. What differs between the
/// relatives is in the properties.
struct LlamaArchitecture: Architecture {
  let modelType: String
  let classPrefix: String
  let basePrefix = "model."
  /// The name of the class without a head, where it is not `classPrefix` and `Model`.
  var baseClassName: String?

  var norm = Norm.rms
  var epsilonKey = "rms_norm_eps"
  var epsilon = 1e-6
  var headNorm = HeadNorm.none
  var arrangement = Arrangement.inTurn
  var isFused = false
  var queryBias = Switch.never
  var outputBias = Switch.never
  var feedForwardBias = Switch.never
  var activationKey = "hidden_act"
  var activation = "silu"
  /// Activations that mean another one in this family than their name says.
  var renamedActivations: [String: String] = [:]
  var window = Window.none
  var rotary = RotaryConfiguration.Defaults()
  /// How layers with a window find their angles, where they are not those of the others.
  var windowRotary: RotaryConfiguration.Defaults?
  /// Whether embeddings are multiplied by the square root of their width.
  var scalesEmbeddings = false
  /// The number whose inverse square root scales the scores, and its key; nil for the head's width.
  var queryScale: (key: String, default: Int)?
  var scoreCap = Cap.none
  var logitCap = Cap.none
  /// Keys that must not be true.
  var refusedFlags: [String] = []
  var isTied = false
  /// What the releases of transformers take as a number of heads.
  var headCounts = HeadCounts.any
  /// What llama.cpp takes as a number of heads.
  var llamaCppHeads = CountCapability.uniform
  var headDim = HeadDim.hiddenPerHead
  /// Key/value heads of the class when the key is absent; nil for as many as query heads.
  var keyValueHeads: Int?
  var hidden = 4096
  var feedForward = 11008
  var layers = 32
  var heads = 32
  var vocabulary = 32000

  static let all: [any Architecture] = llamas + gemmas + [phi3, stableLM]

  private static let llamas: [LlamaArchitecture] = [
    LlamaArchitecture(
      modelType: "llama", classPrefix: "Llama", queryBias: .key("attention_bias", default: false),
      outputBias: .key("attention_bias", default: false), feedForwardBias: .key("mlp_bias", default: false),
      headCounts: .dividingHidden),
    LlamaArchitecture(
      modelType: "mistral", classPrefix: "Mistral", window: .everywhere(default: 4096), keyValueHeads: 8,
      feedForward: 14336),
    LlamaArchitecture(
      modelType: "qwen2", classPrefix: "Qwen2", queryBias: .always, window: .byLayer, keyValueHeads: 32,
      feedForward: 22016, vocabulary: 151936),
    LlamaArchitecture(
      modelType: "qwen3", classPrefix: "Qwen3", headNorm: .shared,
      queryBias: .key("attention_bias", default: false), outputBias: .key("attention_bias", default: false),
      window: .byLayer, headDim: .constant(128),
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

  func className(_ task: ModelTask) -> String {
    task == .base ? baseClassName ?? classPrefix + task.classSuffix : classPrefix + task.classSuffix
  }

  func isBuffer(_ name: String) -> Bool {
    name.hasSuffix("rotary_emb.inv_freq") || name.hasSuffix("rotary_emb.cos_cached")
      || name.hasSuffix("rotary_emb.sin_cached")
  }

  func belongsToAnotherHead(_ name: String) -> Bool {
    name == "lm_head.weight" || name == "score.weight" || name.hasPrefix("qa_outputs.")
  }
}
