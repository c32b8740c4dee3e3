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
    let angles = try builder.rotaryAngles(positionIDs, sizes.rotary, headDim: sizes.headDim, file: config.file)
    for (layer, window) in zip(layers, windows) {
      builder.tapHiddenState(layer.summary.index, x)
      let layerMask = window.flatMap { windowMasks[$0] } ?? mask
      x = try attentionBlock(x, layerMask, angles, layer.summary, sizes, &builder)
      x = try feedForwardBlock(x, layer.summary, sizes, &builder)
    }
    builder.scope = "norm"
    x = try builder.rmsNorm(x, "norm", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.tapHiddenState(sizes.layers, x)
    guard task == .causalLanguageModel else {
      builder.output("last_hidden_state", x)
      return layers
    }
    builder.scope = "lm_head"
    let matrix = try builder.outputMatrix(
      "lm_head.weight", tiedTo: "embed_tokens.weight", isTied: config.flag("tie_word_embeddings", default: false),
      outputs: sizes.vocabulary, inputs: sizes.hidden)
    builder.output("logits", try builder.add("MatMul", [x, matrix]))
    return layers
  }

  private func describe(
    _ index: Int, _ sizes: Sizes, ragged: Bool, _ builder: ModelBuilder
  ) throws(FormatError) -> LayerDescription {
    let name = "layers.\(index)"
    let hidden = "\(sizes.hidden)"
    func count(_ matrix: String, block: Int, expected: String) throws(FormatError) -> Int {
      try builder.blockCount("\(name).\(matrix).weight", axis: 0, block: block, expected: [expected, hidden])
    }
    let rows =
      ragged
      ? ("heads", "groups", "neurons")
      : ("\(sizes.heads * sizes.headDim)", "\(sizes.keyValueHeads * sizes.headDim)", "\(sizes.feedForward)")
    let stored = try count("self_attn.q_proj", block: sizes.headDim, expected: rows.0)
    var summary = LayerSummary(
      index: index, heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headDim: sizes.headDim,
      feedForward: sizes.feedForward)
    if ragged {
      summary.heads = stored
      summary.keyValueHeads = try count("self_attn.k_proj", block: sizes.headDim, expected: rows.1)
      summary.feedForward = try count("mlp.gate_proj", block: 1, expected: rows.2)
      guard summary.heads % summary.keyValueHeads == 0 else {
        throw FormatError(
          .wrongShape, subject: .layer(index), expected: "query heads in equal groups",
          found: "\(summary.heads) query heads and \(summary.keyValueHeads) key/value heads")
      }
    }
    return LayerDescription(summary: summary, originalHeads: Array(0..<summary.heads))
  }

  private func attentionBlock(
    _ input: ValueID, _ mask: ValueID, _ angles: RotaryAngles, _ layer: LayerSummary, _ sizes: Sizes,
    _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index)"
    builder.scope = "\(name).input_layernorm"
    let x = try builder.rmsNorm(input, "\(name).input_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.scope = "\(name).self_attn"
    func project(
      _ part: String, _ heads: Int, norm: String?, _ builder: inout ModelBuilder
    ) throws(FormatError) -> ValueID {
      let flat = try builder.linear(
        x, "\(name).self_attn.\(part)", outputs: heads * layer.headDim, inputs: sizes.hidden, bias: sizes.queryBias)
      var split = try builder.withHeadAxis(flat, heads: heads, headDim: layer.headDim)
      if let norm, hasHeadNorms {
        split = try builder.rmsNorm(split, "\(name).self_attn.\(norm)", width: layer.headDim, epsilon: sizes.epsilon)
      }
      return try builder.exchangingSequenceAndHeads(split)
    }
    let q = try project("q_proj", layer.heads, norm: "q_norm", &builder)
    let k = try project("k_proj", layer.keyValueHeads, norm: "k_norm", &builder)
    let v = try project("v_proj", layer.keyValueHeads, norm: nil, &builder)
    let width = layer.heads * layer.headDim
    let mixed = try builder.attention(
      builder.rotated(q, angles), builder.rotated(k, angles), v, mask: mask,
      scale: 1 / Double(layer.headDim).squareRoot(), isCausal: true, width: width)
    let output = try builder.linear(
      mixed, "\(name).self_attn.o_proj", outputs: sizes.hidden, inputs: width, bias: sizes.outputBias)
    return try builder.add("Add", [input, output])
  }

  private func feedForwardBlock(
    _ input: ValueID, _ layer: LayerSummary, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index)"
    let bias = sizes.feedForwardBias
    builder.scope = "\(name).post_attention_layernorm"
    let x = try builder.rmsNorm(
      input, "\(name).post_attention_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.scope = "\(name).mlp"
    let gate = try builder.linear(
      x, "\(name).mlp.gate_proj", outputs: layer.feedForward, inputs: sizes.hidden, bias: bias)
    let up = try builder.linear(x, "\(name).mlp.up_proj", outputs: layer.feedForward, inputs: sizes.hidden, bias: bias)
    let product = try builder.add("Mul", [builder.activation(gate, sizes.activation), up])
    let down = try builder.linear(
      product, "\(name).mlp.down_proj", outputs: sizes.hidden, inputs: layer.feedForward, bias: bias)
    return try builder.add("Add", [input, down])
  }
}
