import CheckpointFormats
import PollardBase

extension GGUFFamilies {
  /// Gemma 1 to 3.
  ///
  /// Files hold the norms' factors with their one. llama.cpp scales scores by the width of a head, in the sizes it recognises by 46 layers
  /// (Gemma 2) and 62 (Gemma 3) by the states' width for each head; there is no key for `query_pre_attn_scalar`.
  static let gemmas: [GGUFFamily] = [gemma, gemma2, gemma3]

  private static let gemma: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "gemma", modelType: "gemma", className: "GemmaForCausalLM",
      metadata: gemmaCounts(places: 8192) + gemmaWidths + [.fileType, gemmaBase], tensors: gemmaTensors,
      blocks: gemmaBlocks(sandwiched: false))
    family.dropped = ["lm_head.weight"]
    family.capability = GGUFCapability(heads: .uniform)
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeGemma(&config)
      config.set("hidden_act", to: "gelu_pytorch_tanh")
    }
    family.checkWriting = { writing throws(FormatError) in
      try writing.checkGemma(activationKey: "hidden_act") + GGUFRotary.check(writing)
    }
    return family
  }()

  private static let gemma2: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "gemma2", modelType: "gemma2", className: "Gemma2ForCausalLM",
      metadata: gemmaCounts(places: 8192) + gemmaWidths + [
        .fileType, .number("attn_logit_softcapping", "attn_logit_softcapping", default: 50, fallback: 50),
        .number("final_logit_softcapping", "final_logit_softcapping", default: 30, fallback: 30),
        .count("attention.sliding_window", "sliding_window", default: 4096, fallback: 4096), gemmaPattern, gemmaBase,
      ], tensors: gemmaTensors, blocks: gemmaBlocks(sandwiched: true))
    family.dropped = ["lm_head.weight"]
    family.capability = GGUFCapability(heads: .uniform)
    family.slidingPattern = GGUFSlidingPattern(period: 2, needsOne: true)
    family.specialLayerCounts = [46]
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeGemma(&config)
      try reading.completeSandwiched(&config, special: 46, period: 2)
      let base = try reading.number("rope.freq_base") ?? 10_000.0
      if let other = try reading.number("rope.freq_base_swa"), other != base {
        throw FormatError(
          .unsupportedConfiguration, file: reading.file, subject: .key(reading.key("rope.freq_base_swa")),
          expected: "rope.freq_base, as Gemma 2 has one base for all layers", found: other.serialized(.compact))
      }
    }
    family.checkWriting = { writing throws(FormatError) in
      for key in ["attn_logit_softcapping", "final_logit_softcapping"] where writing.config[key]?.isNull == true {
        throw writing.refusal(key, "a number, because llama.cpp caps in every Gemma 2", "null")
      }
      let notes = try writing.checkGemma(activationKey: "hidden_activation")
      try writing.checkScoreScale(special: 46)
      if try writing.slidingLayers().allSatisfy({ !$0 }) {
        throw writing.refusal(
          "layer_types", "a layer with a window, without which llama.cpp ends the process", "none")
      }
      return try notes + GGUFRotary.check(writing)
    }
    return family
  }()

  private static let gemma3: GGUFFamily = {
    var counts = gemmaCounts(places: 131_072)
    // The reference writes the number of layers first here.
    if let place = counts.firstIndex(where: { $0.key == "block_count" }) {
      counts.insert(counts.remove(at: place), at: 0)
    }
    let epsilon = counts.removeLast()
    var family = GGUFFamily(
      architecture: "gemma3", modelType: "gemma3_text", className: "Gemma3ForCausalLM",
      metadata: counts + [
        .entries("rope.scaling") { writing throws(FormatError) in try GGUFRotary.scalingEntries(writing) },
        .computed("rope.freq_base", .number) { writing throws(FormatError) in
          try GGUFRotary.base(writing, default: 1_000_000)
        },
        .computed("rope.freq_base_swa", .number, into: "rope_local_base_freq") { writing throws(FormatError) in
          let layers = writing.config["rope_parameters"]?["sliding_attention"]
          return layers?["rope_theta"] ?? writing.first(["rope_local_base_freq"]) ?? 10_000.0
        }, epsilon,
      ] + gemmaWidths + [
        .fileType, .number("final_logit_softcapping", "final_logit_softcapping"),
        .computed("attention.sliding_window", .count, into: "sliding_window") { writing throws(FormatError) in
          try writing.slidingLayers().contains(true) ? writing.first(["sliding_window"]) ?? 4096 : nil
        }, gemmaPattern,
      ],
      tensors: [
        GGUFTensorRow("token_embd", "embed_tokens", .vocabularyRows), GGUFTensorRow("output_norm", "norm", .plusOne),
        GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true),
      ], blocks: gemmaBlocks(sandwiched: true, headNorms: true))
    family.capability = GGUFCapability(heads: .uniform)
    family.slidingPattern = GGUFSlidingPattern(period: 6)
    family.specialLayerCounts = [62]
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeGemma(&config)
      try reading.completeSandwiched(&config, special: 62, period: 6)
      if config["rope_local_base_freq"] == nil { config.set("rope_local_base_freq", to: 10_000.0) }
    }
    family.checkWriting = { writing throws(FormatError) in
      let notes = try writing.checkGemma(activationKey: "hidden_activation", needsTie: false)
      try writing.checkScoreScale(special: 62)
      return try notes + GGUFRotary.check(writing)
    }
    return family
  }()

  // MARK: Rows

  private static func gemmaCounts(places: Int) -> [GGUFMetadataRow] {
    [
      .count("context_length", "max_position_embeddings", default: places, required: true),
      .count("embedding_length", "hidden_size", required: true),
      .count("block_count", "num_hidden_layers", required: true), .feedForward("intermediate_size"),
      .heads("num_attention_heads"), .keyValueHeads("num_key_value_heads"),
      .number("attention.layer_norm_rms_epsilon", "rms_norm_eps", default: 1e-6, required: true),
    ]
  }

  private static let gemmaWidths = ["attention.key_length", "attention.value_length"].map { key in
    GGUFMetadataRow.computed(key, .count) { writing throws(FormatError) in JSONValue(writing.headDim) }
  }

  /// The reference leaves the base out, which llama.cpp takes to be 10000.
  private static let gemmaBase = GGUFMetadataRow.computed("rope.freq_base", .number) { writing throws(FormatError) in
    guard let base = try GGUFRotary.base(writing, default: 10_000), base.doubleValue != 10_000 else { return nil }
    return base
  }

  /// One flag for each layer, where the layers' kinds do not follow from their number.
  private static let gemmaPattern = GGUFMetadataRow.entries("attention.sliding_window_pattern") {
    writing throws(FormatError) in
    let flags = try writing.slidingLayers()
    let period = writing.family.slidingPattern?.period ?? 1
    guard flags.contains(true), flags != flags.indices.map({ $0 % period < period - 1 }) else { return [] }
    return [
      GGUFMetadata.Entry("\(writing.family.architecture).attention.sliding_window_pattern", .array(GGUFArray(flags)))
    ]
  }

  private static let gemmaTensors = [
    GGUFTensorRow("token_embd", "embed_tokens"), GGUFTensorRow("output_norm", "norm", .plusOne),
  ]

  private static func gemmaBlocks(sandwiched: Bool, headNorms: Bool = false) -> [GGUFBlockTable] {
    var rows = llamaRows(turned: false, bias: .never, headNorms: headNorms)
    for index in rows.indices {
      guard let name = rows[index].names.first, name.hasSuffix("norm") else { continue }
      rows[index].transforms = [.plusOne]
      if sandwiched, name == "ffn_norm" { rows[index].checkpointNames = ["pre_feedforward_layernorm"] }
    }
    if sandwiched {
      rows += [
        GGUFTensorRow("post_attention_norm", "post_attention_layernorm", .plusOne),
        GGUFTensorRow("post_ffw_norm", "post_feedforward_layernorm", .plusOne),
      ]
    }
    return [GGUFBlockTable(prefix: "blk.", checkpointPrefix: "layers.", rows: rows)]
  }
}

extension GGUFReading {
  /// What the three share.
  fileprivate func completeGemma(_ config: inout JSONObject) throws(FormatError) {
    try completeDecoder(&config, rope: 10_000, window: false)
    config.remove("hidden_act")
    config.set("attention_bias", to: false)
    config.set("attention_dropout", to: 0.0)
  }

  /// What Gemma 2 and 3 share.
  fileprivate func completeSandwiched(
    _ config: inout JSONObject, special: Int, period: Int
  ) throws(FormatError) {
    let layers = try layerCount()
    let (width, hidden) = (try headDim(config), try requiredCount("embedding_length"))
    let heads = try layerCounts("attention.head_count", layers: layers)?.first ?? 1
    config.set("hidden_activation", to: "gelu_pytorch_tanh")
    config.set("query_pre_attn_scalar", to: JSONValue(layers == special ? hidden / max(heads, 1) : width))
    let window = config["sliding_window"]?.intValue ?? 0
    let flags = try slidingFlags(layers: layers) ?? (0..<layers).map { $0 % period < period - 1 }
    let types = flags.map { JSONValue(window > 0 && $0 ? "sliding_attention" : "full_attention") }
    config.set("layer_types", to: .array(types))
    if window == 0 { config.set("sliding_window", to: .null) }
  }
}

extension GGUFWriting {
  fileprivate func refusal(_ key: String, _ expected: String, _ found: String) -> FormatError {
    FormatError(.cannotExpress, file: file, subject: .key(key), expected: expected, found: found)
  }

  /// For each layer whether it sees a window of keys only.
  fileprivate func slidingLayers() throws(FormatError) -> [Bool] {
    let reader = try ConfigurationReader(config, file: file)
    guard let architecture = try ArchitectureRegistry.find(reader) as? LlamaArchitecture else { return [] }
    return try architecture.windows(reader, layers: layers.count).map { $0 != nil }
  }

  /// What llama.cpp takes for granted in all three.
  fileprivate func checkGemma(activationKey: String, needsTie: Bool = true) throws(FormatError) -> [String] {
    let activation = config[activationKey]?.stringValue ?? "gelu_pytorch_tanh"
    guard ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"].contains(activation),
      activation != "gelu" || activationKey == "hidden_act"
    else {
      throw refusal(activationKey, "gelu_pytorch_tanh, which llama.cpp computes in every Gemma", "\"\(activation)\"")
    }
    if needsTie, config["tie_word_embeddings"]?.boolValue == false {
      throw refusal("tie_word_embeddings", "true, as llama.cpp has no output matrix for this Gemma", "false")
    }
    return []
  }

  /// Holds the scale of scores against the one that llama.cpp derives.
  fileprivate func checkScoreScale(special: Int) throws(FormatError) {
    guard let first = layers.first else { return }
    let scalar = config["query_pre_attn_scalar"]?.doubleValue ?? 256
    let hidden = config["hidden_size"]?.intValue ?? 2304
    let derived = layers.count == special ? hidden / max(first.heads, 1) : first.headDim
    guard scalar == Double(derived) else {
      throw refusal(
        "query_pre_attn_scalar",
        "\(derived), "
          + (layers.count == special
            ? "the hidden size by the heads, which llama.cpp takes in a model of \(special) layers"
            : "the width of a head, which llama.cpp takes"),
        "\(scalar)")
    }
  }
}
