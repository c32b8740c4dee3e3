import ModelGraph
import PollardBase

extension LlamaArchitecture {
  var layerStacks: [LayerStack] {
    [LayerStack(prefix: "layers.", countKey: "num_hidden_layers", defaultCount: layers)]
  }

  func explicitLayerTypes(_ config: ConfigurationReader) throws(FormatError) -> [String]? {
    guard case .allButLastOf = window, !config.has("layer_types") else { return nil }
    return try windows(config, layers: config.count("num_hidden_layers", default: layers)).map {
      $0 == nil ? "full_attention" : "sliding_attention"
    }
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    let config = try ConfigurationReader(change.config, file: change.file)
    let sizes = try sizes(config)
    try change.refuseCarriers(carriers(config))
    var editor = ConfigurationEditor(change.config)
    if change.changesHeads || change.carrier != nil {
      // A ragged result keeps both counts of its largest layer; the others are told by the tensors.
      let largest = change.after.max { ($0.heads, $0.keyValueHeads) < ($1.heads, $1.keyValueHeads) }
      editor.set("num_attention_heads", largest?.heads ?? sizes.heads)
      editor.set("num_key_value_heads", largest?.keyValueHeads ?? sizes.keyValueHeads)
      editor.set("head_dim", sizes.headDim)
    }
    if change.changesFeedForward { editor.set("intermediate_size", change.feedForward) }
    if let carrier = change.carrier { try retarget(&editor, to: carrier, sizes, change) }
    return editor.config
  }

  /// The other classes that compute the same function from the same tensors.
  func carriers(_ config: ConfigurationReader) -> [String] {
    guard let biases = try? (queryBias.isOn(config), outputBias.isOn(config), feedForwardBias.isOn(config)),
      let layers = try? config.count("num_hidden_layers", default: layers),
      let windows = try? windows(config, layers: layers), windows.allSatisfy({ $0 == nil })
    else { return [] }
    switch modelType {
    case "llama": return biases == (false, false, false) ? ["mistral", "seed_oss"] : ["seed_oss"]
    case "qwen2": return ["seed_oss"]
    default: return []
    }
  }

  /// Writes the same function under another class: everything whose default differs there becomes explicit.
  private func retarget(
    _ editor: inout ConfigurationEditor, to carrier: String, _ sizes: Sizes, _ change: ConfigurationChange
  ) throws(FormatError) {
    guard let target = Self.all.lazy.compactMap({ $0 as? LlamaArchitecture }).first(where: { $0.modelType == carrier })
    else { return }
    editor.set("model_type", JSONValue(carrier))
    editor.set("architectures", [JSONValue(target.className(change.task))])
    editor.setIfAbsent("hidden_size", JSONValue(sizes.hidden))
    editor.setIfAbsent("num_hidden_layers", JSONValue(sizes.layers))
    editor.setIfAbsent("intermediate_size", JSONValue(change.feedForward))
    editor.setIfAbsent("vocab_size", JSONValue(sizes.vocabulary))
    switch carrier {
    case "mistral": editor.set("sliding_window", .null)
    case "seed_oss":
      editor.set("attention_bias", JSONValue(sizes.queryBias))
      editor.set("attention_out_bias", JSONValue(sizes.outputBias))
      editor.set("mlp_bias", JSONValue(sizes.feedForwardBias))
      editor.set("attention_dropout", 0.0)
      editor.set("residual_dropout", 0.0)
    default: break
    }
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    let carriers = carriers(config)
    let misses = config.olderReaderMisses(angles)
    let (older, newer, remark) = headRules(config, carriers)
    var rows = [
      LoaderRule(
        loader: "transformers-4", opens: misses == nil, heads: older, feedForward: .uniform,
        remark: misses ?? (older == .fixed ? remark : "one count for all layers, with an explicit head_dim")),
      LoaderRule(loader: "transformers-5", opens: true, heads: newer, feedForward: .uniform, remark: remark),
    ]
    for carrier in carriers {
      rows.append(
        LoaderRule(
          loader: "transformers-4", carrier: carrier, opens: misses == nil, heads: .uniform, feedForward: .uniform,
          remark: misses ?? "the same function as \(carrier)"))
      rows.append(
        LoaderRule(
          loader: "transformers-5", carrier: carrier, opens: true, heads: .uniform, feedForward: .uniform,
          remark: "the same function as \(carrier)"))
    }
    rows.append(.llamaCpp(heads: llamaCppHeads, feedForward: .uniform))
    rows.append(.onnxRuntime)
    rows.append(
      LoaderRule(
        loader: "vllm", opens: nil, heads: older, feedForward: .uniform,
        remark: older == .fixed
          ? "not tested; derives the head size from the hidden size, so heads must stay"
          : modelType == "qwen2"
            ? "not tested; releases that derive head_dim from hidden_size fail"
            : "not tested; honours an explicit head_dim"))
    return LoaderRules(rows)
  }

  /// What transformers 4 and 5 take as numbers of heads, and why.
  private func headRules(
    _ config: ConfigurationReader, _ carriers: [String]
  ) -> (older: CountCapability, newer: CountCapability, remark: String) {
    let free = "one count for all layers, with an explicit head_dim"
    switch headCounts {
    case .any: return (.uniform, .uniform, free)
    case .dividingHidden:
      let hidden = (try? config.count("hidden_size", default: hidden)) ?? hidden
      let offer =
        carriers.isEmpty ? "" : "; --retarget writes the same function as \(carriers[0]), which takes any count"
      return (
        .uniform, .uniformDividing(hidden),
        "hidden_size \(hidden) must be a multiple of num_attention_heads\(offer)"
      )
    case .anyWithoutFactorLists:
      guard let angles = try? angles(config), angles.contains(where: { $0.hasFactorLists }) else {
        return (.uniform, .uniform, free)
      }
      return (
        .fixed, .fixed,
        "removed heads stay as zeros, because the lists of rotary factors have the length of hidden_size by heads"
      )
    case .derived:
      return (
        .fixed, .fixed,
        "removed heads stay as zeros, because the head size is hidden_size divided by the heads"
      )
    }
  }
}
