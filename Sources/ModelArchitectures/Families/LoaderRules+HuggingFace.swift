import ModelGraph
import PollardBase

extension LoaderRules {
  /// The rules of classes that take removed heads through `pruned_heads`: BERT and its relatives, DistilBERT, GPT-2.
  static func prunedHeads(
    _ config: ConfigurationReader, layers: [LayerDescription], feedForwardKey: String
  ) -> LoaderRules {
    let hasPrunedHeads = !(config.value("pruned_heads")?.objectValue?.isEmpty ?? true)
    return LoaderRules([
      LoaderRule(
        loader: "transformers-4", opens: true, heads: .perLayer, feedForward: .uniform,
        remark: "heads through pruned_heads, at least one in each layer; one \(feedForwardKey) for all layers"),
      LoaderRule(
        loader: "transformers-5", opens: !hasPrunedHeads, heads: .fixed, feedForward: .uniform,
        remark: hasPrunedHeads
          ? "pruned_heads is ignored since transformers 5, so the shapes do not fit; use transformers 4"
          : "pruned_heads is ignored since transformers 5; removed heads stay as zeros there, or use transformers 4"),
      .llamaCpp(heads: .fixed, feedForward: .uniform),
      .onnxRuntime,
      LoaderRule(
        loader: "vllm", opens: nil, heads: .fixed, feedForward: .uniform,
        remark: "not tested; derives the head size from the hidden size, so heads must stay"),
    ])
  }
}

extension LoaderRules {
  /// The rules of classes that derive the head size from the hidden size and hold no list of removed heads.
  ///
  /// - Parameters:
  ///   - feedForwardKey: the key that holds the feed-forward width; nil where the class has a fixed one.
  ///   - reason: why the head count cannot change, beyond the square projections.
  static func fixedHeads(
    _ config: ConfigurationReader, feedForwardKey: String?, because reason: String? = nil,
    olderReaderMisses: String? = nil
  ) -> LoaderRules {
    let width =
      feedForwardKey.map { "one \($0) for all layers" } ?? "the feed-forward width is four times the hidden size"
    let hasPrunedHeads = !(config.value("pruned_heads")?.objectValue?.isEmpty ?? true)
    let remark =
      hasPrunedHeads
      ? "the class knows no pruned_heads, so the shapes do not fit"
      : "removed heads stay as zeros, because \(reason ?? "the head size is hidden_size divided by the heads"); \(width)"
    let feedForward: CountCapability = feedForwardKey == nil ? .fixed : .uniform
    func row(_ loader: String, _ opens: Bool?, _ remark: String) -> LoaderRule {
      LoaderRule(loader: loader, opens: opens, heads: .fixed, feedForward: feedForward, remark: remark)
    }
    return LoaderRules([
      row("transformers-4", !hasPrunedHeads && olderReaderMisses == nil, olderReaderMisses ?? remark),
      row("transformers-5", !hasPrunedHeads, remark), .llamaCpp(heads: .fixed, feedForward: .uniform), .onnxRuntime,
      row("vllm", nil, "not tested; derives the head size from the hidden size, so heads must stay"),
    ])
  }

  /// What is accepted of a model that is written as ONNX: every shape lies in the graph, so nothing has to agree.
  public static var onnx: LoaderRules {
    LoaderRules([
      LoaderRule(loader: "onnxruntime", opens: true, heads: .perLayer, feedForward: .perLayer),
      .notONNX("transformers-4", "safetensors"), .notONNX("transformers-5", "safetensors"),
      .notONNX("llama.cpp", "GGUF"), .notONNX("vllm", "safetensors"),
    ])
  }
}

extension LoaderRule {
  /// A loader that reads another format.
  fileprivate static func notONNX(_ loader: String, _ format: String) -> LoaderRule {
    LoaderRule(
      loader: loader, opens: false, heads: .perLayer, feedForward: .perLayer, remark: "reads \(format), not ONNX")
  }

  /// llama.cpp, which reads GGUF.
  static func llamaCpp(heads: CountCapability, feedForward: CountCapability) -> LoaderRule {
    LoaderRule(
      loader: "llama.cpp", opens: false, heads: heads, feedForward: feedForward,
      remark: "reads GGUF only; --to gguf writes it")
  }

  /// ONNX Runtime, which reads ONNX.
  static var onnxRuntime: LoaderRule {
    LoaderRule(
      loader: "onnxruntime", opens: false, heads: .perLayer, feedForward: .perLayer,
      remark: "reads ONNX only; --to onnx writes it")
  }
}

extension ConfigurationReader {
  /// What transformers 4 would silently ignore in a configuration of transformers 5, or nil.
  ///
  /// 4.x knows no `rope_parameters`: it would take the angles of `rope_theta`, or its default.
  var olderReaderMisses: String? {
    olderReaderMisses { config throws(FormatError) in try RotaryConfiguration(config) }
  }

  /// The same for a class that reads its angles in a way of its own.
  func olderReaderMisses<Angles: Equatable>(
    _ angles: (ConfigurationReader) throws(FormatError) -> Angles
  ) -> String? {
    guard has("rope_parameters"), let asked = try? angles(self) else { return nil }
    var members = object
    members.remove("rope_parameters")
    guard let reader = try? ConfigurationReader(.object(members), file: file), let seen = try? angles(reader),
      seen != asked
    else { return nil }
    return "transformers 4 ignores rope_parameters and would use other angles; it needs rope_theta and rope_scaling"
  }
}
