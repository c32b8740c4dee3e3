import ModelGraph
import PollardBase

/// Where a configuration tells the number of residual channels, and what would follow from it.
struct WidthKeys: Sendable {
  /// The key of the number of channels.
  var hidden: String
  /// The key of the norms' ε, and what it is without the key.
  var epsilon: (key: String, value: Double)
  /// The key of the size of a head, which must not follow from the number of channels, and its value.
  var headDim: (key: String, value: Int)
}

extension Architecture {
  func widthKeys(_ config: ConfigurationReader) throws(FormatError) -> WidthKeys {
    throw FormatError(
      .cannotExpress, file: config.file, subject: .key("model_type"),
      expected: "a class whose head size does not follow from the number of hidden channels", found: "\"\(modelType)\"",
      remedy: "leave --width out")
  }
}

extension LlamaArchitecture {
  func widthKeys(_ config: ConfigurationReader) throws(FormatError) -> WidthKeys {
    let sizes = try sizes(config)
    var reason: String?
    switch headCounts {
    case .any, .dividingHidden: break
    case .anyWithoutFactorLists:
      if try angles(config).contains(where: { $0.hasFactorLists }) {
        reason = "\"\(modelType)\", whose lists of rotary factors have the length of hidden_size by heads"
      }
    case .derived: reason = "\"\(modelType)\", whose head size is hidden_size divided by the heads"
    }
    if let reason {
      throw FormatError(
        .cannotExpress, file: config.file, subject: .key("hidden_size"),
        expected: "a class whose head size does not follow from the number of hidden channels", found: reason,
        remedy: "leave --width out")
    }
    return WidthKeys(
      hidden: "hidden_size", epsilon: (epsilonKey, sizes.epsilon), headDim: ("head_dim", sizes.headDim))
  }
}

extension T5Architecture {
  func widthKeys(_ config: ConfigurationReader) throws(FormatError) -> WidthKeys {
    let sizes = try sizes(config)
    return WidthKeys(
      hidden: "d_model", epsilon: ("layer_norm_epsilon", sizes.epsilon), headDim: ("d_kv", sizes.headDim))
  }
}
