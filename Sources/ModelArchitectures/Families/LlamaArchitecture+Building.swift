import ModelGraph
import PollardBase
import TensorStorage

extension LlamaArchitecture {
  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    let positionIDs = builder.tokenInput("position_ids", derivedBy: .ascending)
    builder.scope = "embed_tokens"
    let word = try builder.parameter("embed_tokens.weight", [sizes.vocabulary, sizes.hidden])
    var x = try builder.add("Gather", [word, ids])
    if scalesEmbeddings { x = try builder.add("Mul", [x, builder.scalar(embeddingScale(sizes, builder))]) }
    // Layers are counted before anything is made whose size only the configuration tells.
    var layers: [LayerDescription] = []
    for index in 0..<sizes.layers { layers.append(try describe(index, sizes, ragged: ragged, builder)) }
    let windows = try windows(config, layers: sizes.layers)
    let mask = try builder.keyMask(attentionMask)
    var windowMasks: [Int: ValueID] = [:]
    for case let window? in windows where windowMasks[window] == nil {
      builder.scope = "sliding_window"
      windowMasks[window] = try builder.windowMask(mask, window: window, tokens: ids)
    }
    let turn = try Turns(positionIDs, sizes, windows: windows, file: config.file, &builder)
    for (layer, window) in zip(layers, windows) {
      builder.tapHiddenState(layer.summary.index, x)
      let layerMask = window.flatMap { windowMasks[$0] } ?? mask
      x = try decoderLayer(x, layerMask, turn[window: window], layer.summary, sizes, &builder)
    }
    builder.scope = "norm"
    x = try normed(x, "norm", sizes, &builder)
    builder.tapHiddenState(sizes.layers, x)
    guard task == .causalLanguageModel else {
      builder.output("last_hidden_state", x)
      return layers
    }
    builder.scope = "lm_head"
    let matrix = try builder.outputMatrix(
      "lm_head.weight", tiedTo: "embed_tokens.weight", isTied: config.flag("tie_word_embeddings", default: isTied),
      outputs: sizes.vocabulary, inputs: sizes.hidden)
    var logits = try builder.add("MatMul", [x, matrix])
    if let cap = sizes.logitCap { logits = try builder.softCapped(logits, cap) }
    builder.output("logits", logits)
    return layers
  }

  /// The square root of the hidden size, rounded to the type of the embeddings as transformers rounds it.
  private func embeddingScale(_ sizes: Sizes, _ builder: ModelBuilder) throws(FormatError) -> Float {
    let root = Float(Double(sizes.hidden).squareRoot())
    guard let type = builder.tensors.tensor("embed_tokens.weight")?.weight.type, [.bf16, .f16].contains(type) else {
      return root
    }
    return try Weight.floats([root], shape: [1]).cast(to: type).cast(to: .f32).floats()[0]
  }

  /// The angles of a model's layers.
  private struct Turns {
    /// How many elements of each head are turned, or nil for all.
    private let size: Int?
    private let full: RotaryAngles?
    private let windowed: RotaryAngles?

    /// Only angles that some layer uses are computed.
    init(
      _ positionIDs: ValueID, _ sizes: Sizes, windows: [Int?], file: String?, _ builder: inout ModelBuilder
    ) throws(FormatError) {
      let count = try sizes.rotary.turnedElements(headDim: sizes.headDim, file: file)
      size = count == sizes.headDim ? nil : count
      var angles: [RotaryAngles?] = [nil, nil]
      if let rotary = sizes.windowRotary, windows.contains(where: { $0 != nil }) {
        angles[1] = try builder.rotaryAngles(positionIDs, rotary, headDim: count, name: "_local", file: file)
      }
      if angles[1] == nil || windows.contains(nil) {
        angles[0] = try builder.rotaryAngles(positionIDs, sizes.rotary, headDim: count, file: file)
      }
      full = angles[0]
      windowed = angles[1] ?? angles[0]
    }

    subscript(window window: Int?) -> (angles: RotaryAngles, size: Int?) {
      guard let angles = window == nil ? full : windowed else { preconditionFailure("every layer has angles") }
      return (angles, size)
    }
  }

  private func describe(
    _ index: Int, _ sizes: Sizes, ragged: Bool, _ builder: ModelBuilder
  ) throws(FormatError) -> LayerDescription {
    var summary = LayerSummary(
      index: index, heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headDim: sizes.headDim,
      feedForward: sizes.feedForward)
    if isFused {
      try countFused(&summary, sizes, ragged: ragged, builder)
    } else {
      try countApart(&summary, sizes, ragged: ragged, builder)
    }
    guard summary.keyValueHeads > 0, summary.heads % summary.keyValueHeads == 0 else {
      throw FormatError(
        .wrongShape, subject: .layer(index), expected: "query heads in equal groups",
        found: "\(summary.heads) query heads and \(summary.keyValueHeads) key/value heads")
    }
    return LayerDescription(summary: summary, originalHeads: Array(0..<summary.heads))
  }

  /// Counts a layer's heads and neurons in its matrices, if these may differ from the configuration's.
  private func countApart(
    _ summary: inout LayerSummary, _ sizes: Sizes, ragged: Bool, _ builder: ModelBuilder
  ) throws(FormatError) {
    let name = "layers.\(summary.index)"
    let hidden = "\(sizes.hidden)"
    func count(_ matrix: String, block: Int, expected: String) throws(FormatError) -> Int {
      try builder.blockCount("\(name).\(matrix).weight", axis: 0, block: block, expected: [expected, hidden])
    }
    let heads = try count(
      "self_attn.q_proj", block: sizes.headDim, expected: ragged ? "heads" : "\(sizes.heads * sizes.headDim)")
    guard ragged else { return }
    summary.heads = heads
    summary.keyValueHeads = try count("self_attn.k_proj", block: sizes.headDim, expected: "groups")
    summary.feedForward = try count("mlp.gate_proj", block: 1, expected: "neurons")
  }

  /// The same where the first matrices are fused: what queries take of one shows the columns of the output matrix.
  private func countFused(
    _ summary: inout LayerSummary, _ sizes: Sizes, ragged: Bool, _ builder: ModelBuilder
  ) throws(FormatError) {
    let name = "layers.\(summary.index)"
    let hidden = "\(sizes.hidden)"
    let expected = "\((sizes.heads + 2 * sizes.keyValueHeads) * sizes.headDim)"
    let blocks = try builder.blockCount(
      "\(name).self_attn.qkv_proj.weight", axis: 0, block: sizes.headDim,
      expected: [ragged ? "heads and groups" : expected, hidden])
    guard ragged else { return }
    summary.heads = try builder.blockCount(
      "\(name).self_attn.o_proj.weight", axis: 1, block: sizes.headDim, expected: [hidden, "heads"])
    summary.keyValueHeads = max(0, blocks - summary.heads) / 2
    summary.feedForward = try builder.blockCount(
      "\(name).mlp.down_proj.weight", axis: 1, block: 1, expected: [hidden, "neurons"])
  }

  // MARK: Layers

  private func normed(
    _ x: ValueID, _ name: String, _ sizes: Sizes, width: Int? = nil, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let width = width ?? sizes.hidden
    switch norm {
    case .layer: return try builder.layerNorm(x, name, width: width, epsilon: sizes.epsilon)
    case .rms: return try builder.rmsNorm(x, name, width: width, epsilon: sizes.epsilon)
    case .rmsPlusOne: return try builder.rmsNorm(x, name, width: width, epsilon: sizes.epsilon, offset: 1)
    }
  }

  private func decoderLayer(
    _ input: ValueID, _ mask: ValueID, _ turn: (angles: RotaryAngles, size: Int?), _ layer: LayerSummary,
    _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index)"
    func norm(_ x: ValueID, _ part: String, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
      builder.scope = "\(name).\(part)"
      return try normed(x, "\(name).\(part)", sizes, &builder)
    }
    let x = try norm(input, "input_layernorm", &builder)
    var attended = try attention(x, mask, turn, layer, sizes, &builder)
    if sizes.isParallel {
      let half = try builder.add("Add", [input, attended])
      return try builder.add("Add", [half, feedForward(x, layer, sizes, &builder)])
    }
    guard case .normedOnBothSides = arrangement else {
      attended = try builder.add("Add", [input, attended])
      let y = try norm(attended, "post_attention_layernorm", &builder)
      return try builder.add("Add", [attended, feedForward(y, layer, sizes, &builder)])
    }
    attended = try norm(attended, "post_attention_layernorm", &builder)
    attended = try builder.add("Add", [input, attended])
    let y = try norm(attended, "pre_feedforward_layernorm", &builder)
    let result = try norm(feedForward(y, layer, sizes, &builder), "post_feedforward_layernorm", &builder)
    return try builder.add("Add", [attended, result])
  }

  private func attention(
    _ x: ValueID, _ mask: ValueID, _ turn: (angles: RotaryAngles, size: Int?), _ layer: LayerSummary, _ sizes: Sizes,
    _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index).self_attn"
    builder.scope = name
    let counts = [layer.heads, layer.keyValueHeads, layer.keyValueHeads]
    let widths = counts.map { $0 * layer.headDim }
    func heads(_ flat: ValueID, _ part: Int, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
      var split = try builder.withHeadAxis(flat, heads: counts[part], headDim: layer.headDim)
      let letter = ["q", "k", "v"][part]
      if part < 2, case .shared = headNorm {
        split = try normed(split, "\(name).\(letter)_norm", sizes, width: layer.headDim, &builder)
      } else if part < 2, sizes.hasEachHeadNorms {
        split = try builder.eachHeadNorm(
          split, "\(name).\(letter)_layernorm", heads: counts[part], headDim: layer.headDim, epsilon: sizes.epsilon)
      }
      return try builder.exchangingSequenceAndHeads(split)
    }
    var parts: [ValueID] = []
    if isFused {
      let flat = try builder.linear(
        x, "\(name).qkv_proj", outputs: widths.reduce(0, +), inputs: sizes.hidden, bias: sizes.queryBias)
      for (part, piece) in try builder.split(flat, widths).enumerated() {
        parts.append(try heads(piece, part, &builder))
      }
    } else {
      for (part, matrix) in ["q_proj", "k_proj", "v_proj"].enumerated() {
        let flat = try builder.linear(
          x, "\(name).\(matrix)", outputs: widths[part], inputs: sizes.hidden, bias: sizes.queryBias)
        parts.append(try heads(flat, part, &builder))
      }
    }
    let mixed = try builder.attention(
      builder.rotated(parts[0], turn.angles, size: turn.size), builder.rotated(parts[1], turn.angles, size: turn.size),
      parts[2], mask: mask, scale: sizes.scoreScale, cap: sizes.scoreCap, isCausal: true, width: widths[0])
    return try builder.linear(
      mixed, "\(name).o_proj", outputs: sizes.hidden, inputs: widths[0], bias: sizes.outputBias)
  }

  private func feedForward(
    _ x: ValueID, _ layer: LayerSummary, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index).mlp"
    builder.scope = name
    func linear(_ part: String, outputs: Int, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
      try builder.linear(
        x, "\(name).\(part)", outputs: outputs, inputs: sizes.hidden, bias: sizes.feedForwardBias)
    }
    let width = layer.feedForward
    var parts: [ValueID]
    if isFused {
      parts = try builder.split(linear("gate_up_proj", outputs: 2 * width, &builder), [width, width])
    } else {
      parts = [
        try linear("gate_proj", outputs: width, &builder), try linear("up_proj", outputs: width, &builder),
      ]
    }
    let product = try builder.add("Mul", [builder.activation(parts[0], sizes.activation), parts[1]])
    return try builder.linear(
      product, "\(name).down_proj", outputs: sizes.hidden, inputs: width, bias: sizes.feedForwardBias)
  }
}
