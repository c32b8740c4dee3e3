import GraphCompaction
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// Inputs for a run, drawn from a seed; the last sequence of several is padded on the right.
///
/// Known names get what they mean: tokens below the vocabulary's size, masks of ones, caches and embeddings of small numbers. Inputs that the
/// graph derives are left out.
struct RandomInputs {
  /// More would not be run in reasonable time or memory.
  private static let tokenLimit = 1 << 24

  private let graph: Graph
  private let options: VerificationOptions
  private let length: Int
  private let vocabulary: Int
  private let types: Int
  private var random: SplitMix64
  private var sizes: [String: Int] = [:]

  /// Inputs for a model, shortened to the positions it has.
  ///
  /// - Throws: `GraphError`: `tooLarge` when more is asked for than can be held, `missingInput` for an input of unknown extents.
  static func make(for model: Model, options: VerificationOptions) throws(GraphError) -> [String: Tensor] {
    var maker = RandomInputs(model, options)
    return try maker.make()
  }

  private init(_ model: Model, _ options: VerificationOptions) {
    graph = model.graph
    self.options = options
    let limits = model.stored.tokenLimits
    length = max(1, min(options.length, limits.positions ?? .max))
    vocabulary = max(1, limits.vocabulary ?? 1000)
    types = max(1, limits.types ?? 1)
    random = SplitMix64(state: options.seed)
    for id in graph.inputs {
      for (axis, size) in (graph[id].type?.shape ?? []).enumerated() {
        for name in size.symbols where sizes[name] == nil {
          sizes[name] = extent(of: name, axis: axis, in: size)
        }
      }
    }
  }

  /// What a named extent is taken as.
  private func extent(of symbol: String, axis: Int, in size: Size) -> Int {
    let name = symbol.lowercased()
    let past = max(1, length / 4)
    if name.contains("past") { return past }
    // A mask over a cache and the new tokens.
    if name.contains("total") || (name.contains("mask") && hasPast) {
      return past.addingReportingOverflow(length).overflow ? .max : past + length
    }
    if name.contains("batch") || (axis == 0 && !name.contains("seq")) { return options.batch }
    if name.contains("height") || name.contains("width") { return 32 }
    if name.contains("channel") { return 3 }
    return length
  }

  private var hasPast: Bool {
    graph.inputs.contains { id in
      (graph[id].type?.shape ?? []).contains { $0.symbols.contains { $0.lowercased().contains("past") } }
    }
  }

  private mutating func make() throws(GraphError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for id in graph.inputs {
      let value = graph[id]
      let isMask = value.name.hasSuffix("attention_mask")
      let hasTypes = value.name == "token_type_ids" && types > 1
      if graph.derivedInputs[id] != nil, !isMask, !hasTypes { continue }
      guard let type = value.type, let shape = type.shape else {
        throw GraphError(
          .missingInput, subject: .value(value.name), expected: "a declared shape", found: "none",
          remedy: "give the inputs with --inputs")
      }
      var extents: [Int] = []
      var count = 1
      for size in shape {
        let extent = size.evaluated(sizes) ?? -1
        let (product, overflow) = count.multipliedReportingOverflow(by: max(extent, 0))
        guard extent >= 0, !overflow, product <= Self.tokenLimit else {
          throw GraphError(
            .tooLarge, subject: .option("--batch, --length"), expected: "at most \(Self.tokenLimit) elements",
            found: "\(type) of \(options.batch) sequences of \(length)")
        }
        extents.append(extent)
        count = product
      }
      result[value.name] = tensor(value.name, type.element, extents, count, isMask: isMask)
    }
    return result
  }

  private mutating func tensor(
    _ name: String, _ type: ElementType, _ extents: [Int], _ count: Int, isMask: Bool
  ) -> Tensor {
    switch type {
    case .i64, .i32:
      let numbers = integers(name, extents, count, isMask: isMask)
      return type == .i64
        ? Tensor(integers: numbers, extents: extents)
        : Tensor(narrowIntegers: numbers.map { Int32(truncatingIfNeeded: $0) }, extents: extents)
    case .bool: return Tensor(truths: Array(repeating: true, count: count), extents: extents)
    default:
      if isMask {
        return Tensor(floats: integers(name, extents, count, isMask: true).map(Float.init), extents: extents)
      }
      return Tensor(floats: (0..<count).map { _ in normal() }, extents: extents)
    }
  }

  private mutating func integers(_ name: String, _ extents: [Int], _ count: Int, isMask: Bool) -> [Int64] {
    let last = max(extents.last ?? 1, 1)
    if isMask {
      var mask = Array(repeating: Int64(1), count: count)
      if extents.count == 2, extents[0] > 1 {
        for place in (count - min(length, extents[1]) / 4)..<count { mask[place] = 0 }
      }
      return mask
    }
    if name.hasSuffix("input_ids") { return (0..<count).map { _ in Int64(random.next() % UInt64(vocabulary)) } }
    if name == "token_type_ids" { return (0..<count).map { Int64($0 * 3 / last % types) } }
    if name.hasSuffix("position_ids") { return (0..<count).map { Int64($0 % last) } }
    return Array(repeating: 0, count: count)
  }

  /// A number near the normal distribution: the sum of twelve even ones, less six.
  private mutating func normal() -> Float {
    (0..<12).reduce(Float(-6)) { sum, _ in sum + Float(random.next() >> 40) / Float(1 << 24) }
  }

  /// What ran, in words.
  static func phrase(_ inputs: [String: Tensor], options: VerificationOptions) -> String {
    let extents = inputs["input_ids"]?.extents ?? []
    let size =
      extents.count == 2
      ? "\(extents[0]) sequences of \(extents[1]) tokens" : options.inputs == nil ? "random inputs" : "given inputs"
    return options.inputs == nil ? "\(size), seed \(options.seed)" : "\(size) as given"
  }
}
