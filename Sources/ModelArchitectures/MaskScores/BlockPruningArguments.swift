import PollardBase

/// What `sparse_args.json` says of a checkpoint in training by nn_pruning: the rules of its matrices and the threshold.
struct BlockPruningArguments {
  /// The threshold at the end of training.
  private(set) var threshold: Double?
  /// Whether the bias of a row without a kept weight is zero too.
  private(set) var masksBiases = false
  /// The least share of a matrix's scores that stays under a threshold.
  private(set) var leastShare = 0.005
  private var attention: ScoreRule?
  private var dense: ScoreRule?
  private var outputIsDense = true

  static let fileName = "sparse_args.json"

  /// Without a file: nothing is known.
  init() {}

  /// Reads the file beside a checkpoint.
  ///
  /// - Throws: `unsupportedConfiguration` for what makes another model of it: 2:4 masks of their own, replaced norms or activations, heads
  ///   kept by another model; `configurationValue`.
  init(_ json: JSONValue, file: String) throws(FormatError) {
    let reader = try ConfigurationReader(json, file: file)
    for (key, plain) in [("ampere_pruning_method", "disabled"), ("rewind_model_name_or_path", "")] {
      let found = try reader.text(key, default: plain)
      guard found == plain else {
        throw FormatError(
          .unsupportedConfiguration, file: file, subject: .key(key), expected: plain.isEmpty ? "no value" : plain,
          found: found, remedy: Self.remedy)
      }
    }
    for key in ["layer_norm_patch", "gelu_patch"] { try reader.refuse(key, because: Self.remedy) }
    threshold = try reader.optionalNumber("final_threshold")
    masksBiases = try reader.flag("bias_mask", default: false)
    leastShare = try reader.number("linear_min_parameters", default: 0.005)
    guard (0...1).contains(leastShare) else {
      throw FormatError(
        .configurationValue, file: file, subject: .key("linear_min_parameters"), expected: "a share from 0 to 1",
        found: "\(leastShare)")
    }
    outputIsDense = try reader.flag("attention_output_with_dense", default: true)
    attention = try Self.rule(reader, "attention_pruning_method")
    dense = try Self.rule(reader, "dense_pruning_method")
  }

  static let remedy = "let nn_pruning compile the model, and compact what it saves"

  private static func rule(_ reader: ConfigurationReader, _ key: String) throws(FormatError) -> ScoreRule? {
    let text = try reader.text(key, default: "disabled")
    // The part after a colon says how scores are shared, which their shapes tell.
    let method = String(text.prefix { $0 != ":" })
    if method == "disabled" { return nil }
    guard let rule = ScoreRule(pruningMethod: method), rule != .magnitude else {
      throw FormatError(
        .unsupportedConfiguration, file: reader.file, subject: .key(key),
        expected: "topK, threshold, sigmoied_threshold or l0", found: text)
    }
    return rule
  }

  /// The rule of a matrix.
  func rule(of name: String) -> ScoreRule? {
    if name.contains(".attention.self.") { return attention }
    return name.contains(".attention.output.") && !outputIsDense ? attention : dense
  }
}
