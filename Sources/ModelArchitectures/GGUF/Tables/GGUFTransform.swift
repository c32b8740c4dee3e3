import TensorStorage

/// What a tensor goes through between a checkpoint and GGUF: lazy steps, each with its inverse.
///
/// Both ways are steps of `Weight`, so that a tensor that goes there and back, cut in between, is a slice of the stored bytes.
enum GGUFTransform: Sendable, Hashable {
  case same
  /// Rows of each head in the order of rotated pairs: row `2i + s` of the result is row `s · headDim/2 + i`.
  case rotaryQueries
  /// The same for key/value heads.
  case rotaryKeys
  /// The axes of a matrix exchanged; vectors stay.
  case transposed
  /// One added to every element.
  case plusOne
  /// Rows `[heads, 3, headDim]` taken apart into all queries, all keys, all values.
  case interleavedByHead
  /// Rows `[keyValueHeads, heads/keyValueHeads + 2, headDim]` taken apart into all queries, all keys, all values.
  case interleavedByGroup
  /// The first rows left out, as many as `positionOffset` says; zeros stand for them on the way back.
  case withoutPaddingPositions
  /// Rows beyond the tokenizer's vocabulary left out; they do not come back.
  case vocabularyRows

  /// What the steps need to know of a model.
  struct Context: Sendable {
    /// The layer the tensor belongs to.
    var layer: LayerSummary?
    /// The rows of the position table that GGUF leaves out.
    var positionOffset = 0
    /// The tokens of the vocabulary, where rows beyond them go.
    var vocabularyRows: Int?
  }

  /// The tensor as GGUF has it.
  func written(_ weight: Weight, _ context: Context) -> Weight {
    switch self {
    case .same: return weight
    case .rotaryQueries, .rotaryKeys, .interleavedByHead, .interleavedByGroup:
      guard let order = rowOrder(context.layer, rows: weight.shape[0]) else { return weight }
      return weight.keeping(order, axis: 0)
    case .transposed: return weight.shape.rank == 2 ? weight.transposed() : weight
    case .plusOne: return weight.adding(.ones(like: weight))
    case .withoutPaddingPositions:
      let first = min(context.positionOffset, weight.shape[0])
      return weight.keeping(Array(first..<weight.shape[0]), axis: 0)
    case .vocabularyRows:
      guard let rows = context.vocabularyRows, rows < weight.shape[0] else { return weight }
      return weight.keeping(Array(0..<rows), axis: 0)
    }
  }

  /// The tensor as a checkpoint has it.
  func read(_ weight: Weight, _ context: Context) -> Weight {
    switch self {
    case .same, .vocabularyRows: return weight
    case .rotaryQueries, .rotaryKeys, .interleavedByHead, .interleavedByGroup:
      guard let order = rowOrder(context.layer, rows: weight.shape[0]) else { return weight }
      return weight.keeping(inverse(of: order), axis: 0)
    case .transposed: return weight.shape.rank == 2 ? weight.transposed() : weight
    case .plusOne: return weight.adding(.ones(like: weight, negative: true))
    case .withoutPaddingPositions:
      if context.positionOffset == 0 { return weight }
      var extents = weight.shape.extents
      extents[0] = context.positionOffset
      return .concatenated([.zeros(type: weight.type, shape: Shape(extents)), weight], axis: 0)
    }
  }

  /// For each row of GGUF the row of the checkpoint; nil where the rows do not divide so, which the import reports by the shape.
  private func rowOrder(_ layer: LayerSummary?, rows: Int) -> [Int]? {
    guard let layer else { return nil }
    let width = layer.headDim
    switch self {
    case .rotaryQueries: return Self.pairs(heads: layer.heads, width: width, rows: rows)
    case .rotaryKeys: return Self.pairs(heads: layer.keyValueHeads, width: width, rows: rows)
    case .interleavedByHead: return Self.apart(groups: layer.heads, queries: 1, width: width, rows: rows)
    case .interleavedByGroup:
      guard layer.keyValueHeads > 0, layer.heads % layer.keyValueHeads == 0 else { return nil }
      return Self.apart(
        groups: layer.keyValueHeads, queries: layer.heads / layer.keyValueHeads, width: width, rows: rows)
    case .same, .transposed, .plusOne, .withoutPaddingPositions, .vocabularyRows: return nil
    }
  }

  private static func pairs(heads: Int, width: Int, rows: Int) -> [Int]? {
    guard width > 0, width % 2 == 0, heads * width == rows else { return nil }
    return (0..<rows).map { row in
      let place = row % width
      return row - place + (place % 2) * (width / 2) + place / 2
    }
  }

  private static func apart(groups: Int, queries: Int, width: Int, rows: Int) -> [Int]? {
    guard groups * (queries + 2) * width == rows else { return nil }
    var order: [Int] = []
    order.reserveCapacity(rows)
    for blocks in [0..<queries, queries..<queries + 1, queries + 1..<queries + 2] {
      for group in 0..<groups {
        for block in blocks {
          let start = (group * (queries + 2) + block) * width
          order.append(contentsOf: start..<start + width)
        }
      }
    }
    return order
  }

  private func inverse(of order: [Int]) -> [Int] {
    var result = Array(repeating: 0, count: order.count)
    for (place, row) in order.enumerated() { result[row] = place }
    return result
  }
}

extension Weight {
  /// Ones of a floating-point weight's type that are broadcast over it, or their negatives.
  fileprivate static func ones(like weight: Weight, negative: Bool = false) -> Weight {
    let shape = Shape(Array(repeating: 1, count: weight.shape.rank))
    let one = Weight.floats([negative ? -1 : 1], shape: shape)
    guard weight.type != .f32, weight.type.isFloatingPoint, let bytes = try? one.cast(to: weight.type).bytes() else {
      return one
    }
    // A literal again, so that it cancels against its negative.
    return .literal(bytes: bytes, type: weight.type, shape: shape)
  }
}
