import CTensorKernels
import PollardBase

/// Where the vectors of heads lie: element `(batch, head, position, i)` is at
/// `base[batch · batchStride + head · headStride + position · positionStride + i]`.
public struct HeadsView<Pointer>: @unchecked Sendable {
  /// The first element.
  public var base: Pointer
  /// Elements from one sequence of the batch to the next.
  public var batchStride: Int
  /// Elements from one head to the next.
  public var headStride: Int
  /// Elements from one position to the next.
  public var positionStride: Int

  /// A view of memory that the caller answers for. Masks and biases may use strides of 0 to repeat.
  public init(base: Pointer, batchStride: Int, headStride: Int, positionStride: Int) {
    self.base = base
    self.batchStride = batchStride
    self.headStride = headStride
    self.positionStride = positionStride
  }

  func offset(_ batch: Int, _ head: Int) -> Int { batch * batchStride + head * headStride }
}

/// Scaled dot-product attention over `[batch, heads, positions, dimension]`.
///
/// For each query: `s = cap(q · k · scale) + bias` for the keys it may see; weights `e^(s - max s) / Σ e^(s - max s)`;
/// output `Σ weight · v` over ascending keys. With a softcap `c`, `cap(s) = c · tanh(s / c)`, else `s`.
///
/// - Axes: batch, query and head axes map to themselves; keys and dimensions are summed away. Query head `h` reads
///   key/value head `h / (queryHeads / keyValueHeads)`. Removing heads or value positions does not change the others.
/// - A forbidden key weighs exactly +0; a query that may see no key gives zeros.
/// - Source: Vaswani et al. 2017, eq. 1; ONNX Attention-24 (softcap before the bias).
public struct Attention: @unchecked Sendable {
  /// Sequences.
  public var batch: Int
  /// Heads of `query` and `output`.
  public var queryHeads: Int
  /// Heads of `key` and `value`; divides `queryHeads`.
  public var keyValueHeads: Int
  /// Positions of `query` and `output`.
  public var queries: Int
  /// Positions of `key` and `value`.
  public var keys: Int
  /// Length of the vectors of `query` and `key`.
  public var headDimension: Int
  /// Length of the vectors of `value` and `output`.
  public var valueDimension: Int
  /// Factor of the dot products, usually `1 / √headDimension`.
  public var scale: Float
  /// Bound of the scores; 0 for none.
  public var softcap: Float = 0
  /// Query `i` sees only keys `j ≤ i + causalOffset`; nil for all. Usually `keys - queries`.
  public var causalOffset: Int?
  /// Query `i` sees only the `window` keys that end at `i + (causalOffset ?? 0)`; 0 for all.
  public var window = 0
  /// Numbers added to the scores, element `(batch, head, query, key)`.
  public var bias: HeadsView<UnsafePointer<Float>>?
  /// Bytes of which 0 forbids a key, element `(batch, head, query, key)`.
  public var mask: HeadsView<UnsafePointer<UInt8>>?

  /// Attention without cap, mask, bias or window.
  public init(
    batch: Int, queryHeads: Int, keyValueHeads: Int, queries: Int, keys: Int, headDimension: Int,
    valueDimension: Int, scale: Float
  ) {
    self.batch = batch
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.queries = queries
    self.keys = keys
    self.headDimension = headDimension
    self.valueDimension = valueDimension
    self.scale = scale
  }

  /// Computes `output`.
  ///
  /// - Precondition: the views cover their tensors; `output` overlaps no input.
  /// - Complexity: `2 · batch · queryHeads · queries · keys · (headDimension + valueDimension)` operations.
  public func callAsFunction(
    query: HeadsView<UnsafePointer<Float>>, key: HeadsView<UnsafePointer<Float>>,
    value: HeadsView<UnsafePointer<Float>>, output: HeadsView<UnsafeMutablePointer<Float>>, pool: ThreadPool
  ) {
    precondition(keyValueHeads > 0 && queryHeads % keyValueHeads == 0, "query heads are no multiple of key heads")
    precondition(keys < Int(Int32.max), "more keys than a score row can index")
    guard batch > 0, queryHeads > 0, queries > 0 else { return }
    let strip = Int(POLLARD_ATTENTION_STRIP)
    let strips = (queries + strip - 1) / strip
    let heads = batch * queryHeads
    // Whole heads when there are enough of them: each item packs its keys and values again.
    let wanted = pool.threadCount == 1 ? 1 : max(1, 3 * pool.threadCount / heads)
    let stripParts = min(wanted, strips)
    let scratchCount = pollard_attention_scratch(keys, headDimension, valueDimension)
    pool.forEach(heads * stripParts) { item in
      let (sequence, head) = (item / stripParts).quotientAndRemainder(dividingBy: queryHeads)
      let mine = part(item % stripParts, of: stripParts, in: strips)
      let group = head / (queryHeads / keyValueHeads)
      let scratch = UnsafeMutablePointer<Float>.allocate(capacity: max(scratchCount, 1))
      defer { scratch.deallocate() }
      var call = pollard_attention()
      call.query = query.base + query.offset(sequence, head)
      call.query_stride = query.positionStride
      call.key = key.base + key.offset(sequence, group)
      call.key_stride = key.positionStride
      call.value = value.base + value.offset(sequence, group)
      call.value_stride = value.positionStride
      call.output = output.base + output.offset(sequence, head)
      call.output_stride = output.positionStride
      call.queries = queries
      call.keys = keys
      call.head_dimension = headDimension
      call.value_dimension = valueDimension
      call.scale = scale
      call.softcap = softcap
      if let bias {
        call.bias = bias.base + bias.offset(sequence, head)
        call.bias_stride = bias.positionStride
      }
      if let mask {
        call.mask = mask.base + mask.offset(sequence, head)
        call.mask_stride = mask.positionStride
      }
      call.causal = causalOffset == nil ? 0 : 1
      call.causal_offset = causalOffset ?? 0
      call.window = window
      withUnsafePointer(to: call) {
        pollard_attention_f32($0, mine.lowerBound * strip, min(mine.upperBound * strip, queries), scratch)
      }
    }
  }
}
