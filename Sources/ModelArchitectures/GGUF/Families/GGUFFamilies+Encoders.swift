import CheckpointFormats
import PollardBase

extension GGUFFamilies {
  static let encoders: [GGUFFamily] = [bert, roberta, xlmRoberta, distilBert]

  private static func encoderKeys(
    feedForward: String, heads: String, layers: String, hidden: String, epsilon: GGUFMetadataRow?, after: Bool
  ) -> [GGUFMetadataRow] {
    let places = GGUFMetadataRow.computed("context_length", .count, into: "max_position_embeddings", required: true) {
      writing throws(FormatError) in
      let places = writing.config["max_position_embeddings"]?.intValue ?? 512
      return JSONValue(max(0, places - writing.family.positionOffset(writing.config)))
    }
    let common: [GGUFMetadataRow] = [
      .count("block_count", layers, required: true), places, .count("embedding_length", hidden, required: true),
      .feedForward(feedForward), .heads(heads),
    ]
    return (after ? [] : [epsilon].compactMap(\.self)) + common + (after ? [epsilon].compactMap(\.self) : []) + [
      .fileType, .fixed("attention.causal", .flag, false),
      .computed("pooling_type", .count) { writing throws(FormatError) in writing.pooling.map { JSONValue($0) } },
      .entries("classifier.output_labels") { writing throws(FormatError) in
        guard let labels = classifierLabels(writing.config) else { return [] }
        return [
          GGUFMetadata.Entry("\(writing.family.architecture).classifier.output_labels", .array(GGUFArray(labels)))
        ]
      },
    ]
  }

  /// The names of a classifier's outputs in their order; nil where they are the placeholders that every configuration has.
  static func classifierLabels(_ config: JSONValue) -> [String]? {
    guard let object = config["id2label"]?.objectValue else {
      guard let count = config["num_labels"]?.intValue, count != 2, (1...1024).contains(count) else { return nil }
      return (0..<count).map { "LABEL_\($0)" }
    }
    let labels = object.members.compactMap { member in
      Int(member.key).flatMap { number in member.value.stringValue.map { (number, $0) } }
    }.sorted { $0.0 < $1.0 }
    if labels.isEmpty || (labels.count == 2 && labels[0].1 == "LABEL_0") { return nil }
    return labels.map(\.1)
  }

  /// Rows of a BERT layer.
  private static let bertRows: [GGUFTensorRow] =
    [
      ("attn_q", "attention.self.query"), ("attn_k", "attention.self.key"), ("attn_v", "attention.self.value"),
      ("attn_output", "attention.output.dense"), ("attn_output_norm", "attention.output.LayerNorm"),
      ("ffn_up", "intermediate.dense"), ("ffn_down", "output.dense"), ("layer_output_norm", "output.LayerNorm"),
    ].map { GGUFTensorRow($0.0, $0.1, bias: .required) } + [
      .joined(
        "attn_qkv",
        [
          ("attention.self.query", .queries, .same), ("attention.self.key", .keysOrValues, .same),
          ("attention.self.value", .keysOrValues, .same),
        ], isAlternative: true)
    ]

  private static let bertTensors: [GGUFTensorRow] = [
    GGUFTensorRow("token_embd", "embeddings.word_embeddings"),
    GGUFTensorRow("token_types", "embeddings.token_type_embeddings"),
    GGUFTensorRow("position_embd", "embeddings.position_embeddings", .withoutPaddingPositions),
    GGUFTensorRow("token_embd_norm", "embeddings.LayerNorm", bias: .required), .unread("cls"),
    .unread("cls.output"),
  ]

  private static let bert = encoder(modelType: "bert", className: "BertModel") { _, kind in kind == "bert" }
  private static let roberta = encoder(modelType: "roberta", className: "RobertaModel", offset: true) { _, kind in
    kind == "gpt2"
  }
  private static let xlmRoberta = encoder(modelType: "xlm-roberta", className: "XLMRobertaModel", offset: true) {
    _, kind in kind == "t5"
  }

  /// The places up to the padding token's number, which no token takes.
  private static func skippedPositions(_ config: JSONValue) -> Int {
    guard let value = config["pad_token_id"] else { return 2 }
    return max(0, value.intValue.map { $0.addingReportingOverflow(1).partialValue } ?? 0)
  }

  private static func encoder(
    modelType: String, className: String, offset: Bool = false,
    isRecognized: @escaping @Sendable (GGUFReading, String) -> Bool
  ) -> GGUFFamily {
    var family = GGUFFamily(
      architecture: "bert", modelType: modelType, className: className, isPrefixed: false,
      metadata: encoderKeys(
        feedForward: "intermediate_size", heads: "num_attention_heads", layers: "num_hidden_layers",
        hidden: "hidden_size",
        epsilon: .number("attention.layer_norm_epsilon", "layer_norm_eps", default: 1e-12, required: true), after: true),
      tensors: bertTensors,
      blocks: [GGUFBlockTable(prefix: "blk.", checkpointPrefix: "encoder.layer.", rows: bertRows)],
      dropped: ["pooler.*", "cls.*", "lm_head.*", "qa_outputs.*"])
    family.isRecognized = { reading in
      reading.tensors["token_types.weight"] != nil
        && isRecognized(reading, reading.metadata["tokenizer.ggml.model"]?.text ?? "bert")
    }
    if offset { family.positionOffset = skippedPositions }
    family.prepareWriting = { family, config in
      var rows = bertTensors.filter { !$0.checkpointNames.isEmpty }
      if modelType != "bert" {
        rows += [
          GGUFTensorRow("cls", "classifier.dense", weight: .optional, bias: .optional, isHead: true),
          GGUFTensorRow("cls.output", "classifier.out_proj", weight: .optional, bias: .optional, isHead: true),
        ]
      }
      rows.append(
        GGUFTensorRow(
          classifierLabels(config) == nil ? "cls" : "cls.output", "classifier", weight: .optional, bias: .optional,
          isHead: true))
      family.tensors = rows
    }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeEncoder(&config, typeTable: true)
      if offset {
        if config["pad_token_id"] == nil { config.set("pad_token_id", to: 1) }
        let skipped = skippedPositions(.object(config))
        config.set(
          "max_position_embeddings", to: JSONValue((config["max_position_embeddings"]?.intValue ?? 0) + skipped))
      }
    }
    family.checkWriting = { writing throws(FormatError) in
      try writing.requireActivation(
        ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"], key: "hidden_act", default: "gelu")
      return []
    }
    return family
  }

  private static let distilBert: GGUFFamily = {
    let rows: [GGUFTensorRow] = [
      ("attn_q", "attention.q_lin"), ("attn_k", "attention.k_lin"), ("attn_v", "attention.v_lin"),
      ("attn_output", "attention.out_lin"), ("attn_output_norm", "sa_layer_norm"), ("ffn_up", "ffn.lin1"),
      ("ffn_down", "ffn.lin2"), ("layer_output_norm", "output_layer_norm"),
    ].map { GGUFTensorRow($0.0, $0.1, bias: .required) }
    let tensors = bertTensors.filter { $0.names != ["token_types"] }
    var family = GGUFFamily(
      architecture: "bert", modelType: "distilbert", className: "DistilBertModel", isPrefixed: false,
      metadata: encoderKeys(
        feedForward: "hidden_dim", heads: "n_heads", layers: "n_layers", hidden: "dim",
        epsilon: .fixed("attention.layer_norm_epsilon", .number, 1e-12), after: false),
      tensors: tensors,
      blocks: [GGUFBlockTable(prefix: "blk.", checkpointPrefix: "transformer.layer.", rows: rows)],
      dropped: ["vocab_*", "qa_outputs.*"])
    family.isRecognized = { reading in
      reading.tensors["token_types.weight"] == nil
        && reading.metadata[reading.key("attention.layer_norm_epsilon")] == .float32(1e-12)
    }
    family.prepareWriting = { family, config in
      family.tensors =
        tensors.filter { !$0.checkpointNames.isEmpty } + [
          GGUFTensorRow("cls", "pre_classifier", weight: .optional, bias: .optional, isHead: true),
          GGUFTensorRow(
            classifierLabels(config) == nil ? "cls" : "cls.output", "classifier", weight: .optional, bias: .optional,
            isHead: true),
        ]
    }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeEncoder(&config, typeTable: false)
    }
    family.checkWriting = { writing throws(FormatError) in
      try writing.requireActivation(
        ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"], key: "activation", default: "gelu")
      return []
    }
    return family
  }()
}

extension GGUFReading {
  /// Completes the configuration of an encoder with learned positions.
  fileprivate func completeEncoder(_ config: inout JSONObject, typeTable: Bool) throws(FormatError) {
    try completeEmbeddings(&config)
    config.remove("tie_word_embeddings")
    config.remove("bos_token_id")
    config.remove("eos_token_id")
    if try flag("attention.causal") ?? true {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(key("attention.causal")), expected: "false", found: "true")
    }
    config.set(typeTable ? "hidden_act" : "activation", to: "gelu")
    if typeTable {
      let types = tensors["token_types.weight"]?.shape ?? []
      config.set("type_vocab_size", to: JSONValue(types.rank == 2 ? types[0] : 1))
    }
  }
}
