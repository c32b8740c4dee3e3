import CheckpointFormats
import PollardBase

extension GGUFFamilies {
  /// Phi-3, Phi-3.5 and the text models of Phi-4: matrices stay fused, gate and up as `ffn_up`.
  static let phi3: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "phi3", modelType: "phi3", className: "Phi3ForCausalLM",
      metadata: [
        .count("context_length", "max_position_embeddings", default: 4096, required: true),
        .count(
          "rope.scaling.original_context_length", "original_max_position_embeddings", default: 4096),
        .count("embedding_length", "hidden_size", required: true), .feedForward("intermediate_size"),
        .count("block_count", "num_hidden_layers", required: true), .heads("num_attention_heads"),
        .keyValueHeads("num_key_value_heads"),
        .number("attention.layer_norm_rms_epsilon", "rms_norm_eps", default: 1e-5, required: true),
        turnedPart,
        .computed("rope.freq_base", .number) { writing throws(FormatError) in
          try GGUFRotary.base(writing, default: 10_000)
        }, .fileType,
        // A zero tells Phi-4 from the others.
        .computed("attention.sliding_window", .count) { writing throws(FormatError) in
          writing.first(["sliding_window"]) ?? 0
        },
      ],
      tensors: [
        GGUFTensorRow("token_embd", "embed_tokens"), GGUFTensorRow("output_norm", "norm"),
        GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true), .only("rope_factors_long"),
        .only("rope_factors_short"),
      ],
      blocks: [
        GGUFBlockTable(
          prefix: "blk.", checkpointPrefix: "layers.",
          rows: [
            GGUFTensorRow("attn_norm", "input_layernorm"), GGUFTensorRow("attn_qkv", "self_attn.qkv_proj"),
            .split(
              [("attn_q", .queries), ("attn_k", .keysOrValues), ("attn_v", .keysOrValues)], "self_attn.qkv_proj",
              isAlternative: true), GGUFTensorRow("attn_output", "self_attn.o_proj"),
            GGUFTensorRow("ffn_norm", "post_attention_layernorm"), GGUFTensorRow("ffn_up", "mlp.gate_up_proj"),
            GGUFTensorRow("ffn_down", "mlp.down_proj"),
          ])
      ])
    family.leadingMetadata = [
      .computed("rope.scaling.attn_factor", .number) { writing throws(FormatError) in
        try writing.rotary().hasFactorLists ? JSONValue(writing.rotary().attentionFactor) : nil
      }
    ]
    family.completeConfiguration = { reading, config throws(FormatError) in try reading.completePhi3(&config) }
    family.extraTensors = { writing throws(FormatError) in
      guard case .longRope(let short, let long, _) = try writing.rotary().scaling else { return [] }
      return [
        GGUFExtraTensor(name: "rope_factors_long.weight", values: long.map { Float($0) }),
        GGUFExtraTensor(name: "rope_factors_short.weight", values: short.map { Float($0) }),
      ]
    }
    family.checkWriting = { writing throws(FormatError) in
      try writing.checkSquareHeads()
      try writing.checkActivation("silu")
      var notes: [String] = []
      if try writing.rotary().hasFactorLists {
        notes.append("llama.cpp chooses the rotary factors by the size of its context, not by the text's length")
      }
      if let window = writing.first(["sliding_window"])?.intValue {
        notes.append("llama.cpp lets every token see all tokens before it, not only the last \(window)")
      }
      return notes
    }
    return family
  }()

  /// How many elements of a head are turned.
  static let turnedPart = GGUFMetadataRow.computed("rope.dimension_count", .count) { writing throws(FormatError) in
    JSONValue(try writing.rotary().turnedElements(headDim: writing.headDim, file: writing.file))
  }
}

extension GGUFWriting {
  /// The angles as the architecture reads them.
  func rotary() throws(FormatError) -> RotaryConfiguration {
    let reader = try ConfigurationReader(config, file: file)
    guard let architecture = try ArchitectureRegistry.find(reader) as? LlamaArchitecture,
      let angles = try architecture.angles(reader).first
    else { return try RotaryConfiguration(reader) }
    return angles
  }

  /// Refuses heads that together are not as wide as the states, where llama.cpp asks for square matrices.
  func checkSquareHeads() throws(FormatError) {
    guard let first = layers.first, let hidden = config["hidden_size"]?.intValue else { return }
    guard first.heads * first.headDim == hidden else {
      throw FormatError(
        .cannotExpress, file: file, subject: .layer(first.index),
        expected: "\(hidden) for heads times their width, which llama.cpp asks for",
        found: "\(first.heads) times \(first.headDim)")
    }
  }

  /// Refuses an activation that llama.cpp would replace.
  func checkActivation(_ expected: String) throws(FormatError) {
    let found = config["hidden_act"]?.stringValue ?? expected
    guard found == expected || (expected == "silu" && found == "swish") else {
      throw FormatError(
        .cannotExpress, file: file, subject: .key("hidden_act"), expected: "\(expected), which llama.cpp computes",
        found: "\"\(found)\"")
    }
  }
}

extension GGUFReading {
  /// Completes the configuration of a decoder whose heads are turned in part.
  ///
  /// - Parameter base: the base of the rotary wavelengths where the file has none.
  func completePartlyTurned(_ config: inout JSONObject, rope base: Double) throws(FormatError) {
    try completeEmbeddings(&config)
    let width = try headDim(config)
    let hidden = try requiredCount("embedding_length")
    let heads = config["num_attention_heads"]?.intValue ?? 1
    if heads * width != hidden { config.set("head_dim", to: JSONValue(width)) }
    if config["num_key_value_heads"] == nil { config.set("num_key_value_heads", to: JSONValue(heads)) }
    let turned = try count("rope.dimension_count") ?? width
    guard (2...width).contains(turned) else {
      throw FormatError(
        .ggufValueOutOfRange, file: file, subject: .key(key("rope.dimension_count")), expected: "2 to \(width)",
        found: "\(turned)")
    }
    var part = Double(turned) / Double(width)
    // The product is cut off to a whole number again.
    if Int(Double(width) * part) < turned { part = part.nextUp }
    config.set("partial_rotary_factor", to: JSONValue(part))
    config.set("hidden_act", to: "silu")
    config.set("attention_dropout", to: 0.0)
    try GGUFRotary.read(self, base: base, into: &config)
  }

  fileprivate func completePhi3(_ config: inout JSONObject) throws(FormatError) {
    try completePartlyTurned(&config, rope: 10_000)
    let places = config["max_position_embeddings"]?.intValue ?? 4096
    let original = try count("rope.scaling.original_context_length") ?? places
    config.set("original_max_position_embeddings", to: JSONValue(original))
    let window = try count("attention.sliding_window") ?? 0
    config.set("sliding_window", to: window > 0 ? JSONValue(window) : .null)
    for key in ["embd_pdrop", "resid_pdrop"] { config.set(key, to: 0.0) }
    guard let short = try vector("rope_factors_short.weight"), let long = try vector("rope_factors_long.weight") else {
      return
    }
    var scaling: JSONObject = [
      "long_factor": .array(long.map(Self.json)), "short_factor": .array(short.map(Self.json)), "type": "longrope",
    ]
    config.set("rope_scaling", to: .object(scaling))
    let implied = try RotaryConfiguration(ConfigurationReader(.object(config), file: file))
    // The class takes three members only; a fourth is for a file whose number does not follow from the lengths.
    if let stated = try number("rope.scaling.attn_factor"),
      let value = stated.doubleValue, Float(value) != Float(implied.attentionFactor)
    {
      scaling.set("attention_factor", to: stated)
      config.set("rope_scaling", to: .object(scaling))
    }
  }
}
