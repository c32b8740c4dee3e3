extension PinnedOperator {
  static let all = recurrent + regions + spectra + texts + sets + training + features + quantized

  private static let recurrent = [
    PinnedOperator(
      "RNN", since: 22, requires: 3, results: [.operand(0)],
      summary: "`h = f(w·x + r·h + bias)`, step by step, forward, in reverse, or both.",
      shapes:
        "x: `[T, B, I]`; w: `[D, H, I]`; r: `[D, H, H]`; bias: `[D, 2·H]`; y: `[T, D, B, H]`; last h: `[D, B, H]`."),
    PinnedOperator(
      "GRU", since: 22, requires: 3, results: [.operand(0)],
      summary: "`h = (1 - z)·g(w·x + r·(reset·h)) + z·h`, z and reset being gates of x and h.",
      shapes: "x: `[T, B, I]`; w: `[D, 3·H, I]`; r: `[D, 3·H, H]`; y: `[T, D, B, H]`; last h: `[D, B, H]`."),
    PinnedOperator(
      "LSTM", since: 22, requires: 3, results: [.operand(0)],
      summary:
        "`c = forget·c + input·g(w·x + r·h)`, `h = output·f(c)`, the three being gates of x, h and, by peepholes, c.",
      shapes: "x: `[T, B, I]`; w: `[D, 4·H, I]`; r: `[D, 4·H, H]`; y: `[T, D, B, H]`; last h, c: `[D, B, H]`."),
  ]

  private static let regions = [
    PinnedOperator(
      "GridSample", since: 22, requires: 2, results: [.operand(0)],
      summary: "Elements of images at the places of a grid: the nearest, or weighted sums of neighbours.",
      shapes: "x: `[N, C, D1, …, Dr]`; grid: `[N, E1, …, Er, r]`; y: `[N, C, E1, …, Er]`.",
      shape: { context, _ in
        guard let x = context.shape(0), let grid = context.shape(1), x.count >= 2, grid.count == x.count else {
          return nil
        }
        return Array(x[..<2]) + grid[1..<(grid.count - 1)]
      }),
    PinnedOperator(
      "RoiAlign", since: 22, requires: 3, results: [.operand(0)],
      summary: "The mean or largest of samples between the elements under each part of each region.",
      shapes: "x: `[N, C, H, W]`; regions: `[R, 4]`; images: `[R]`; y: `[R, C, output_height, output_width]`."),
    PinnedOperator(
      "MaxRoiPool", since: 22, requires: 2, results: [.operand(0)],
      summary: "The largest element in each part of each region.",
      shapes: "x: `[N, C, H, W]`; regions: `[R, 5]`; y: `[R, C, h, w]`."),
    PinnedOperator(
      "NonMaxSuppression", since: 11, requires: 2, results: [.fixed(.i64)],
      summary: "Boxes by falling score, without those that overlap a better one of their class too much.",
      shapes: "boxes: `[N, S, 4]`; scores: `[N, C, S]`; y: `[chosen, 3]`: image, class and box."),
    PinnedOperator(
      "MaxUnpool", since: 22, requires: 2, results: [.operand(0)],
      summary: "Elements put back to where MaxPool took them from; zeros elsewhere.",
      shapes: "x, places: `[N, C, D1, …]`; y: `[N, C, E1, …]`."),
    PinnedOperator(
      "Col2Im", since: 18, requires: 3, results: [.operand(0)],
      summary: "Blocks put side by side to an image; overlaps are added.",
      shapes: "x: `[N, C·block, L]`; image: `[r]`; block: `[r]`; y: `[N, C, image]`."),
    PinnedOperator(
      "DeformConv", since: 22, requires: 3, results: [.operand(0)],
      summary: "A convolution whose taps are moved by an operand and weighted by a mask.",
      shapes: "x: `[N, C, H, W]`; w: `[O, C/g, kH, kW]`; offsets: `[N, 2·d·kH·kW, oH, oW]`; y: `[N, O, oH, oW]`."),
  ]

  private static let spectra = [
    PinnedOperator(
      "DFT", since: 20, results: [.operand(0)],
      summary: "The discrete Fourier transform along an axis, or its inverse.",
      shapes: "x: `[…, n, …, 1 or 2]`; y: `[…, m, …, 2]`, or `[…, m, …, 1]` from a one-sided spectrum."),
    PinnedOperator(
      "STFT", since: 17, requires: 2, results: [.operand(0)],
      summary: "The discrete Fourier transforms of frames of a signal, each weighted by a window.",
      shapes: "x: `[B, L, 1 or 2]`; window: `[n]`; y: `[B, frames, bins, 2]`."),
    PinnedOperator(
      "MelWeightMatrix", since: 17, requires: 5, results: [.attribute("output_datatype", .f32)],
      summary: "Triangles on the mel scale that gather the bins of a spectrum.",
      shapes: "Five scalars; y: `[dft_length / 2 + 1, num_mel_bins]`."),
    PinnedOperator(
      "Det", since: 22, results: [.operand(0)], summary: "The determinants of matrices.",
      shapes: "x: `[…, n, n]`; y: `[…]`.", shape: { context, _ in context.shape(0).map { Array($0.dropLast(2)) } }),
  ]

  private static let texts = [
    PinnedOperator(
      "StringConcat", since: 20, requires: 2, results: [.fixed(.string)], summary: "Strings of two tensors joined.",
      shapes: "a, b: `[…]` broadcast together; y: their common shape."),
    PinnedOperator(
      "StringSplit", since: 20, results: [.fixed(.string), .fixed(.i64)],
      summary: "Strings cut at a delimiter or at white space, and the number of their parts.",
      shapes: "x: `[…]`; parts: `[…, most]`; counts: `[…]`."),
    PinnedOperator(
      "StringNormalizer", since: 10, results: [.fixed(.string)],
      summary: "Strings without stop words, in lower or upper case.",
      shapes: "x: `[C]` or `[1, C]`; y: the same with fewer."),
    PinnedOperator(
      "TfIdfVectorizer", since: 9, results: [.fixed(.f32)],
      summary: "How often the n-grams of a pool occur, weighted.",
      shapes: "x: `[C]` or `[B, C]`; y: `[width]` or `[B, width]`."),
  ]

  private static let sets = [
    PinnedOperator(
      "Unique", since: 11, results: [.operand(0), .fixed(.i64)],
      summary:
        "The distinct elements, or parts along `axis`; where each is first, which each position is, how often it occurs.",
      shapes: "x: `[…]`; y: `[k]` or x with extent k; first places, counts: `[k]`; numbers: `[n]`.")
  ]

  private static let training = ["Adagrad", "Adam", "Momentum"].map { name in
    PinnedOperator(
      name, domain: "ai.onnx.preview.training", since: 1, requires: name == "Adam" ? 6 : 5, results: [.operand(2)],
      family: "Steps of training",
      summary: [
        "Adagrad": "`h += g²`, `x -= rate·g / (√h + ε)`.",
        "Adam":
          "`v = α·v + (1-α)·g`, `h = β·h + (1-β)·g²`, `x -= rate·v / (√h + ε)`, the rate corrected for the first steps.",
        "Momentum": "`v = α·v + β·g`, `x -= rate·v`; nesterov: `x -= rate·(g + α·v)`.",
      ][name] ?? "",
      shapes: "rate, steps: `[]`; then for each tensor x, its gradient g and its states v, h: `[…]`, equal.")
  }

  private static let features = [
    PinnedOperator(
      "ArrayFeatureExtractor", domain: "ai.onnx.ml", since: 1, requires: 2, results: [.operand(0)],
      summary: "Positions of the last axis.", shapes: "x: `[…, d]`; positions: `[n]`; y: `[…, n]`."),
    PinnedOperator(
      "Binarizer", domain: "ai.onnx.ml", since: 1, results: [.operand(0)],
      summary: "1 where an element is above `threshold`, 0 elsewhere.", shapes: "x, y: `[…]`, equal.",
      shape: { context, _ in context.shape(0) }),
    PinnedOperator(
      "LabelEncoder", domain: "ai.onnx.ml", since: 4, results: [],
      summary: "Each element replaced by the value that belongs to it in a list of keys.", shapes: "x, y: `[…]`, equal."
    ),
  ]

  private static let quantized: [PinnedOperator] = {
    let shapes = "Scales and zero points are scalars; the others as those of the operator without QLinear."
    return [
      ("QLinearAdd", 7, 0, "a + b"), ("QLinearMul", 7, 0, "a · b"), ("QLinearSigmoid", 4, 0, "1 / (1 + e^-x)"),
      ("QLinearLeakyRelu", 4, 0, "x if x ≥ 0 else alpha·x"), ("QLinearAveragePool", 4, 0, "the mean under each window"),
      ("QLinearGlobalAveragePool", 4, 0, "the mean of each channel"), ("QLinearSoftmax", 5, 0, "softmax x"),
      ("QLinearConcat", 5, 2, "tensors joined along `axis`"),
      ("QLinearWhere", 8, 1, "a where the condition holds, else b"),
      ("QGemm", 6, 0, "a·b + bias"),
    ].map { name, count, operand, formula in
      PinnedOperator(
        name, domain: "com.microsoft", since: 1, requires: count, results: [.operand(operand)],
        family: "Functions of quantised tensors", summary: "`quantised(\(formula))` of dequantised operands.",
        shapes: shapes)
    }
  }()
}
