import CheckpointFormats
import ModelGraph
import PollardBase

extension GGUFFamilies {
  /// T5 and its encoder alone; a gate tells the tables of the feed-forward network apart when a file is read.
  static let t5s: [GGUFFamily] = [
    t5(isGated: true), t5(isGated: false), t5Encoder(isGated: true), t5Encoder(isGated: false),
  ]

  private static func t5(isGated: Bool) -> GGUFFamily {
    var family = GGUFFamily(
      architecture: "t5", modelType: "t5", className: "T5ForConditionalGeneration", metadata: t5Keys(hasDecoder: true),
      tensors: [
        t5Embedding, GGUFTensorRow("enc.output_norm", "encoder.final_layer_norm"),
        GGUFTensorRow("dec.output_norm", "decoder.final_layer_norm"),
        GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true),
      ],
      blocks: [
        GGUFBlockTable(
          prefix: "enc.blk.", checkpointPrefix: "encoder.block.",
          rows: t5Attention("attn", "layer.0", "SelfAttention") + t5Network("layer.1", isGated: isGated)),
        GGUFBlockTable(
          prefix: "dec.blk.", checkpointPrefix: "decoder.block.", countKey: "decoder_block_count",
          rows: t5Attention("attn", "layer.0", "SelfAttention")
            + t5Attention("cross_attn", "layer.1", "EncDecAttention") + t5Network("layer.2", isGated: isGated)),
      ])
    family.isRecognized = { $0.hasLayerTensor("ffn_gate.weight") == isGated }
    family.capability = GGUFCapability(heads: .uniformAlike)
    family.dropped = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
    family.prepareWriting = { family, config in
      if config["architectures"] == ["T5EncoderModel"] { family = t5Encoder(isGated: isGated) }
    }
    family.checkWriting = { writing throws(FormatError) in
      var notes = try t5Checks(writing)
      let config = try ConfigurationReader(writing.config, file: writing.file)
      let isTied = try config.flag("tie_word_embeddings", default: true)
      if try config.flag("scale_decoder_outputs", default: isTied) {
        notes.append(
          "llama.cpp does not multiply the decoder's outputs by d_model^-0.5, so its scores are larger by one factor")
      }
      return notes
    }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try completeT5(reading, &config, isGated: isGated)
      if config["num_decoder_layers"] == nil, let layers = config["num_layers"] {
        config.set("num_decoder_layers", to: layers)
      }
      config.set("is_encoder_decoder", to: true)
    }
    return family
  }

  private static func t5Encoder(isGated: Bool) -> GGUFFamily {
    var family = GGUFFamily(
      architecture: "t5encoder", modelType: "t5", className: "T5EncoderModel", metadata: t5Keys(hasDecoder: false),
      tensors: [t5Embedding, GGUFTensorRow("enc.output_norm", "encoder.final_layer_norm")],
      blocks: [
        GGUFBlockTable(
          prefix: "enc.blk.", checkpointPrefix: "encoder.block.",
          rows: t5Attention("attn", "layer.0", "SelfAttention") + t5Network("layer.1", isGated: isGated))
      ])
    family.isRecognized = { $0.hasLayerTensor("ffn_gate.weight") == isGated }
    family.capability = GGUFCapability(heads: .uniformAlike)
    family.dropped = ["encoder.embed_tokens.weight"]
    family.checkWriting = { writing throws(FormatError) in try t5Checks(writing) }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try completeT5(reading, &config, isGated: isGated)
      config.set("is_encoder_decoder", to: false)
    }
    return family
  }

  private static let t5Embedding = GGUFTensorRow("token_embd", "shared")

  private static func t5Keys(hasDecoder: Bool) -> [GGUFMetadataRow] {
    let epsilon = ["layer_norm", "layer_norm_rms"].map {
      GGUFMetadataRow.number(
        "attention.\($0)_epsilon", "layer_norm_epsilon", default: 1e-6, required: $0 != "layer_norm")
    }
    let decoder: [GGUFMetadataRow] = [
      .computed("decoder_block_count", .count, into: "num_decoder_layers") { writing throws(FormatError) in
        writing.first(["num_decoder_layers", "num_layers"])
      }
    ]
    return [
      .count("context_length", "n_positions", default: 512, required: true),
      .count("embedding_length", "d_model", default: 512, required: true),
      .computed("feed_forward_length", .count, into: "d_ff", required: true) { writing throws(FormatError) in
        JSONValue(writing.layers.map(\.feedForward).max() ?? 0)
      },
      .count("block_count", "num_layers", default: 6, required: true),
    ] + (hasDecoder ? decoder : []) + [
      .computed("attention.head_count", .count, into: "num_heads", required: true) { writing throws(FormatError) in
        writing.layers.first.map { JSONValue($0.heads) }
      },
      .count("attention.key_length", "d_kv", default: 64), .count("attention.value_length", "d_kv", default: 64),
      epsilon[0],
      .count("attention.relative_buckets_count", "relative_attention_num_buckets", default: 32, required: true),
      epsilon[1],
    ] + (hasDecoder ? [.count("decoder_start_token_id", "decoder_start_token_id", "pad_token_id", default: 0)] : []) + [
      .fileType
    ]
  }

  private static func t5Attention(_ name: String, _ layer: String, _ module: String) -> [GGUFTensorRow] {
    [GGUFTensorRow("\(name)_norm", "\(layer).layer_norm")]
      + ["q", "k", "v", "o"].map { GGUFTensorRow("\(name)_\($0)", "\(layer).\(module).\($0)") }
      + [GGUFTensorRow("\(name)_rel_b", "\(layer).\(module).relative_attention_bias", weight: .optional)]
  }

  private static func t5Network(_ layer: String, isGated: Bool) -> [GGUFTensorRow] {
    let up = ["wi_1", "wi"].map { GGUFTensorRow("ffn_up", "\(layer).DenseReluDense.\($0)", weight: .optional) }
    return [GGUFTensorRow("ffn_norm", "\(layer).layer_norm")] + (isGated ? up : up.reversed()) + [
      GGUFTensorRow("ffn_gate", "\(layer).DenseReluDense.wi_0", weight: .optional),
      GGUFTensorRow("ffn_down", "\(layer).DenseReluDense.wo"),
    ]
  }

  /// llama.cpp knows one largest distance, and one activation with a gate and one without.
  private static func t5Checks(_ writing: GGUFWriting) throws(FormatError) -> [String] {
    let config = try ConfigurationReader(writing.config, file: writing.file)
    let distance = try config.optionalCount("relative_attention_max_distance") ?? 128
    guard distance == 128 else {
      throw FormatError(
        .unsupportedConfiguration, file: writing.file, subject: .key("relative_attention_max_distance"),
        expected: "128, which llama.cpp has for every T5", found: "\(distance)")
    }
    return try writing.checkActivation("feed_forward_proj", default: "relu", allowed: ["relu", "gated-gelu"])
  }

  private static func completeT5(
    _ reading: GGUFReading, _ config: inout JSONObject, isGated: Bool
  ) throws(FormatError) {
    try reading.completeEmbeddings(&config)
    config.set("feed_forward_proj", to: isGated ? "gated-gelu" : "relu")
    config.set("relative_attention_max_distance", to: 128)
    if config["d_kv"] == nil { config.set("d_kv", to: JSONValue(try reading.headDim(config))) }
  }
}
