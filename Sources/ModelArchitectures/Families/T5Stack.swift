import ModelGraph
import PollardBase
import TensorStorage

/// The encoder or the decoder of a T5 while it is built.
struct T5Stack {
  let name: String
  let sizes: T5Architecture.Sizes
  /// The counts of the self-attentions and networks, and of the attentions to the encoder.
  let layers: [LayerDescription]
  let crossLayers: [LayerDescription]
  /// The encoder's states and which of its tokens exist, for a decoder.
  var encoded: (states: ValueID, mask: ValueID)?
  private let mask: ValueID
  private let buckets: ValueID
  private let table: ValueID

  private var isDecoder: Bool { name == "decoder" }

  /// Counts the layers and prepares what they share.
  ///
  /// - Parameter offset: the number of the first layer in the list of all layers.
  init(
    _ name: String, layers count: Int, offset: Int, _ config: ConfigurationReader, _ sizes: T5Architecture.Sizes,
    ragged: Bool, tokens: ValueID, mask: ValueID, _ builder: inout ModelBuilder
  ) throws(FormatError) {
    self.name = name
    self.sizes = sizes
    self.mask = mask
    let isDecoder = name == "decoder"
    var layers: [LayerDescription] = []
    var cross: [LayerDescription] = []
    for index in 0..<count {
      let block = "\(name).block.\(index)"
      layers.append(
        try Self.describe(
          "\(block).layer.0.SelfAttention", network: "\(block).layer.\(isDecoder ? 2 : 1).DenseReluDense",
          index: offset + index, sizes, ragged: ragged, builder))
      if isDecoder {
        cross.append(
          try Self.describe(
            "\(block).layer.1.EncDecAttention", network: nil, index: offset + count + index, sizes, ragged: ragged,
            builder))
      }
    }
    guard let heads = layers.first?.summary.heads, layers.allSatisfy({ $0.summary.heads == heads }) else {
      throw FormatError(
        .wrongShape, subject: .tensor("\(name).block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        expected: "as many heads in every layer of the stack, which all read this table",
        found: layers.map { "\($0.summary.heads)" }.joined(separator: ", "))
    }
    self.layers = layers
    crossLayers = cross
    let numbers = try RelativeBuckets(config, isBidirectional: !isDecoder)
    builder.scope = "\(name).relative_attention_bias"
    table = try builder.parameter(
      "\(name).block.0.layer.0.SelfAttention.relative_attention_bias.weight", [numbers.count, heads])
    buckets = try builder.buckets(numbers, tokens: tokens, name: "\(name).relative_attention_bias")
  }

  private static func describe(
    _ attention: String, network: String?, index: Int, _ sizes: T5Architecture.Sizes, ragged: Bool,
    _ builder: ModelBuilder
  ) throws(FormatError) -> LayerDescription {
    var summary = LayerSummary(
      index: index, heads: sizes.heads, keyValueHeads: sizes.heads, headDim: sizes.headDim,
      feedForward: network == nil ? 0 : sizes.feedForward)
    let hidden = "\(sizes.hidden)"
    // Layers are counted before anything is made whose size only the configuration tells.
    let stored = try builder.blockCount(
      attention + ".q.weight", axis: 0, block: sizes.headDim,
      expected: [ragged ? "heads" : "\(sizes.heads * sizes.headDim)", hidden])
    if ragged {
      summary.heads = stored
      summary.keyValueHeads = stored
      if let network {
        summary.feedForward = try builder.blockCount(
          network + (sizes.isGated ? ".wi_0.weight" : ".wi.weight"), axis: 0, block: 1, expected: ["neurons", hidden])
      }
    }
    return LayerDescription(summary: summary, originalHeads: Array(0..<summary.heads))
  }

  /// The states after the final norm of embedded tokens `[batch, sequence, hidden]`.
  mutating func run(_ input: ValueID, taps: String, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
    var x = input
    for (index, layer) in layers.enumerated() {
      let block = "\(name).block.\(index)"
      builder.tap("\(taps).\(index)", x)
      let scope = "\(block).layer.0.SelfAttention"
      builder.scope = scope
      let normed = try norm(x, "\(block).layer.0", &builder)
      let bias = try builder.relativeBias(table, buckets, mask: mask)
      let attended = try attention(
        scope, normed, normed, mask: bias, isCausal: isDecoder, layer.summary, &builder)
      x = try builder.add("Add", [x, attended])
      if let encoded {
        let scope = "\(block).layer.1.EncDecAttention"
        builder.scope = scope
        let mixed = try attention(
          scope, norm(x, "\(block).layer.1", &builder), encoded.states, mask: encoded.mask, isCausal: false,
          crossLayers[index].summary, &builder)
        x = try builder.add("Add", [x, mixed])
      }
      x = try network("\(block).layer.\(isDecoder ? 2 : 1)", x, layer.summary, &builder)
    }
    builder.scope = "\(name).final_layer_norm"
    x = try builder.rmsNorm(x, "\(name).final_layer_norm", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.tap("\(taps).\(layers.count)", x)
    return x
  }

  private func norm(_ x: ValueID, _ layer: String, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
    try builder.rmsNorm(x, "\(layer).layer_norm", width: sizes.hidden, epsilon: sizes.epsilon)
  }

  private func attention(
    _ name: String, _ x: ValueID, _ source: ValueID, mask: ValueID, isCausal: Bool, _ layer: LayerSummary,
    _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let width = layer.heads * layer.headDim
    func project(_ part: String, _ x: ValueID, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
      let flat = try builder.linear(x, "\(name).\(part)", outputs: width, inputs: sizes.hidden, bias: false)
      return try builder.exchangingSequenceAndHeads(
        builder.withHeadAxis(flat, heads: layer.heads, headDim: layer.headDim))
    }
    let q = try project("q", x, &builder)
    let k = try project("k", source, &builder)
    let v = try project("v", source, &builder)
    let mixed = try builder.attention(q, k, v, mask: mask, scale: 1, isCausal: isCausal, width: width)
    return try builder.linear(mixed, "\(name).o", outputs: sizes.hidden, inputs: width, bias: false)
  }

  private func network(
    _ layer: String, _ input: ValueID, _ summary: LayerSummary, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "\(layer).DenseReluDense"
    builder.scope = name
    let x = try norm(input, layer, &builder)
    func inner(_ part: String, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
      try builder.linear(x, "\(name).\(part)", outputs: summary.feedForward, inputs: sizes.hidden, bias: false)
    }
    var wide = try builder.activation(inner(sizes.isGated ? "wi_0" : "wi", &builder), sizes.activation)
    if sizes.isGated { wide = try builder.add("Mul", [wide, inner("wi_1", &builder)]) }
    let narrow = try builder.linear(
      wide, "\(name).wo", outputs: sizes.hidden, inputs: summary.feedForward, bias: false)
    return try builder.add("Add", [input, narrow])
  }
}
