import ModelGraph
import PollardBase

/// What keeps a model's function when dead residual channels go, from d channels to d'.
///
/// A norm divides by the root of the mean over all channels, so it must be told that there were more. Both rewrites are exact in real arithmetic.
public enum WidthRewriteKind: String, Sendable, Hashable, CaseIterable {
  /// The stream stays as it is; norms are multiplied by √(d/d') and their ε by d/d'.
  case norms
  /// Writers are multiplied by √(d'/d), and with them the stream; norms by √(d/d'); ε stays.
  case writers
  /// Nothing: the masked model's norms are defined over the channels that stay.
  case none
}

/// The numbers of a rewrite.
public struct WidthRewrite: Sendable, Hashable {
  /// Which one.
  public var kind: WidthRewriteKind
  /// What the elements of constants are multiplied by, by the name of the tensor; those left out stay.
  public var factors: [String: Double] = [:]
  /// What ε of the norms is multiplied by.
  public var epsilonFactor = 1.0
  /// What values of the smaller model are multiplied by to be the larger one's; those left out are equal.
  public var valueFactors: [ValueID: Double] = [:]

  /// Factors this close to one are one: the numbers that graphs hold in single precision are no closer to what they stand for.
  static let unity = 2.5e-7

  /// Works out the factors.
  ///
  /// - Parameters:
  ///   - width: the channels of the larger model.
  ///   - count: the number of channels that stay.
  ///   - graph: the larger model.
  ///   - small: the same graph for the smaller number of channels, node by node; it tells what numbers follow from the number of channels, as
  ///     the square root that multiplies Gemma's embeddings does.
  ///   - keepsNormsOverKept: whether the masked model's norms are defined over the channels that stay.
  ///   - tensor: the name of the tensor that a constant is; two constants may be one tensor.
  /// - Throws: `widthPinned` where one tensor would need two factors, `FormatError` from reading numbers.
  public init(
    _ width: HiddenWidth, keeping count: Int, graph: Graph, small: Graph, keepsNormsOverKept: Bool,
    tensor: (ValueID) -> String?
  ) throws {
    let ratios = try Self.ratios(width, graph, small)
    func product(_ path: HiddenWidth.Path) -> Double { path.products.reduce(1) { $0 * (ratios[$1] ?? 1) } }
    if let node = width.streamProducts.first(where: { abs((ratios[$0] ?? 1) - 1) > Self.unity }) {
      throw Self.twice("a number within the stream that follows from its width", graph.nodes[node].name)
    }
    if keepsNormsOverKept {
      kind = .none
      if let node = ratios.first(where: { abs($0.value - 1) > Self.unity })?.key {
        throw Self.twice(
          "a number that follows from the width, of which a mask of the norms says nothing", graph.nodes[node].name)
      }
      return
    }
    let share = (Double(count) / Double(width.size)).squareRoot()
    let embedding = width.tables.map { product($0.path) }.first { abs($0 - 1) > Self.unity }
    kind = width.hasOtherNorms || embedding != nil ? .writers : .norms
    // Where the embeddings' own number follows the width, it is what the stream follows, rounded as it is.
    var stream = 1.0
    if kind == .writers { stream = embedding ?? share }
    if kind == .norms { epsilonFactor = Double(width.size) / Double(count) }

    var found: [String: Double] = [:]
    func set(_ use: HiddenWidth.Use, _ factor: Double) throws(CompactionError) {
      guard let name = tensor(use.value) else {
        throw Self.twice("a constant that no tensor stands for", graph[use.value].name)
      }
      let factor = abs(factor - 1) <= Self.unity ? 1 : factor
      if let known = found[name], abs(known / factor - 1) > Self.unity {
        throw Self.twice("a tensor that would need two factors, \(known) and \(factor)", name)
      }
      found[name] = found[name] ?? factor
    }
    for table in width.tables { try set(table.use, stream / product(table.path)) }
    for use in width.projections { try set(use, stream) }
    for norm in width.norms {
      // What the norm's result must be multiplied by, from each place that it goes to.
      var wanted: [Double] = norm.joins.map { stream / product($0) }
      for (path, use) in norm.readers {
        let factor = tensor(use.value).flatMap { found[$0] } ?? 1
        wanted.append(1 / (product(path) * factor))
      }
      let factor = wanted.first ?? 1
      if let other = wanted.first(where: { abs($0 / factor - 1) > Self.unity }) {
        throw Self.twice("a norm that would need two factors, \(factor) and \(other)", graph.nodes[norm.node].name)
      }
      try set(norm.scale, factor / share)
      if let output = graph.nodes[norm.node].outputs.first.flatMap({ $0 }), abs(factor - 1) > Self.unity {
        valueFactors[output] = 1 / factor
      }
    }
    factors = found.filter { $0.value != 1 }
    for (value, flow) in width.flows {
      switch flow {
      case .stream: valueFactors[value] = 1 / stream
      case .table(let table, let path):
        valueFactors[value] = product(width.tables[table].path) / (stream * product(path))
      case .norm(let norm, let path):
        let output = graph.nodes[width.norms[norm].node].outputs.first.flatMap { $0 }
        valueFactors[value] = (output.flatMap { valueFactors[$0] } ?? 1) / product(path)
      }
    }
    valueFactors = valueFactors.filter { abs($0.value - 1) > Self.unity }
    if let output = graph.outputs.first(where: { valueFactors[$0] != nil }) {
      throw Self.twice("an output that would be multiplied", graph[output].name)
    }
  }

  /// What becomes of the numbers that multiply values with channels: those of the smaller graph as a share of those of the larger.
  private static func ratios(_ width: HiddenWidth, _ graph: Graph, _ small: Graph) throws -> [Int: Double] {
    let paths =
      width.tables.flatMap(\.path.products) + width.norms.flatMap { $0.joins.flatMap(\.products) }
      + width.norms.flatMap { $0.readers.flatMap(\.path.products) } + width.streamProducts
    var result: [Int: Double] = [:]
    for node in Set(paths) {
      guard small.nodes.count == graph.nodes.count, small.nodes[node].op == graph.nodes[node].op,
        let before = try number(node, graph), let after = try number(node, small), before != 0, after != 0
      else {
        throw CompactionError(
          .inconsistent, subject: .node(graph.nodes[node].name), expected: "the same operators at another width",
          found: "others")
      }
      result[node] = after / before
    }
    return result
  }

  private static func number(_ node: Int, _ graph: Graph) throws(FormatError) -> Double? {
    for case let input? in graph.nodes[node].inputs {
      guard let weight = graph[input].initializer, weight.shape.elementCount == 1 else { continue }
      return try weight.cast(to: .f32).floats().first.map(Double.init)
    }
    return nil
  }

  private static func twice(_ found: String, _ name: String) -> CompactionError {
    CompactionError(
      .widthPinned, subject: .value(name), expected: "one factor for each tensor and norm", found: found,
      remedy: "leave --width out; heads and neurons go without it")
  }
}
