import ModelGraph
import PollardBase

extension LoaderRules {
  /// What loaders accept of a model that is written as GGUF.
  static func gguf(_ family: GGUFFamily, isTied: Bool, isPlain: Bool) -> LoaderRules {
    let capability = family.capability
    func counts(_ counts: GGUFCapability.Counts) -> CountCapability {
      switch counts {
      case .fixed: .fixed
      case .uniform: .uniform
      case .uniformAlike: .uniformAlike
      case .perLayer: .perLayer
      }
    }
    let carrier = capability.carrier(GGUFCarrierQuestion(isTied: isTied, isPlain: isPlain))
    let offer = carrier.map {
      "; --retarget writes the same function as \($0), which takes another count in every layer"
    }
    let remark: String
    switch capability.heads {
    case .fixed: remark = capability.remark + (offer ?? "")
    case .uniform: remark = "one count for all layers" + (offer ?? "")
    case .uniformAlike: remark = "one count for all layers, and the same heads in each"
    case .perLayer: remark = "another count in every layer"
    }
    var rows = [
      LoaderRule(
        loader: "llama.cpp", opens: true, heads: counts(capability.heads), feedForward: counts(capability.feedForward),
        remark: remark)
    ]
    if let carrier {
      rows.append(
        LoaderRule(
          loader: "llama.cpp", carrier: carrier, opens: true, heads: .perLayer, feedForward: .perLayer,
          remark: "the same function as \(carrier), with another count in every layer"))
    }
    for loader in ["transformers-4", "transformers-5", "vllm"] {
      rows.append(
        LoaderRule(
          loader: loader, opens: false, heads: .perLayer, feedForward: .perLayer, remark: "reads safetensors, not GGUF")
      )
    }
    rows.append(
      LoaderRule(
        loader: "onnxruntime", opens: false, heads: .perLayer, feedForward: .perLayer, remark: "reads ONNX, not GGUF"))
    return LoaderRules(rows)
  }

  /// What loaders accept of a checkpoint that is written as GGUF.
  ///
  /// - Throws: `unknownArchitecture` for a family that GGUF is not written of.
  public static func gguf(converting model: ImportedModel) throws(FormatError) -> LoaderRules {
    let family = try GGUFFamilies.find(modelType: model.modelType, file: model.configPath)
    let hasOutput = model.bindings.contains { $0.tensor == "lm_head.weight" }
    let window = model.config["sliding_window"] ?? .null
    return gguf(
      family, isTied: !hasOutput, isPlain: window.isNull || model.config["use_sliding_window"]?.boolValue == false)
  }
}
