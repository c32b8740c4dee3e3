import GraphExecution
import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// A value to compare between two graphs while both run.
public struct ComparedValue: Sendable {
  /// What is compared.
  public enum Kind: String, Sendable {
    /// The outputs of a layer's attention heads, before they are projected.
    case heads
    /// A layer's feed-forward neurons.
    case neurons
    /// The hidden state after a layer.
    case state
    /// An output of the model.
    case output
  }

  /// The name in reports, such as `hidden_states.3` or `logits`.
  public var name: String
  /// What it is.
  public var kind: Kind
  /// The layer it belongs to.
  public var layer: Int?
  /// The value in the reference.
  public var reference: ValueID
  /// The value in the other graph.
  public var other: ValueID
  /// The axis of the reference that lost positions; nil for the last.
  public var axis: Int?
  /// The positions along that axis that the other has; nil for all.
  public var positions: [Int]?
  /// The positions along the other's axis that are compared with these; nil for all in order.
  public var otherPositions: [Int]?
  /// The original number of the unit at each of those positions.
  public var units: [Int]?

  /// Creates a value to compare.
  public init(
    name: String, kind: Kind, layer: Int?, reference: ValueID, other: ValueID, axis: Int? = nil,
    positions: [Int]? = nil, otherPositions: [Int]? = nil, units: [Int]? = nil
  ) {
    self.name = name
    self.kind = kind
    self.layer = layer
    self.reference = reference
    self.other = other
    self.axis = axis
    self.positions = positions
    self.otherPositions = otherPositions
    self.units = units
  }
}

extension ComparedValue {
  /// The part of the reference's value that is compared: along an inner axis cut at once, along the last when its rows are chosen.
  fileprivate func select(from tensor: Tensor) -> (tensor: Tensor, positions: [Int]?) {
    select(positions, from: tensor)
  }

  /// The part of the other's value that is compared.
  fileprivate func selectOther(from tensor: Tensor) -> (tensor: Tensor, positions: [Int]?) {
    select(otherPositions, from: tensor)
  }

  private func select(_ positions: [Int]?, from tensor: Tensor) -> (tensor: Tensor, positions: [Int]?) {
    guard let axis, let positions, axis < tensor.rank - 1 else { return (tensor, positions) }
    return (tensor.selecting(positions, axis: axis), nil)
  }
}

/// How far one value of two runs agrees.
public struct ValueAgreement: Sendable {
  /// What was compared.
  public var value: ComparedValue
  /// Whether the value has no elements in either model, as a cache that a branch leaves out.
  public var isEmpty = false
  /// Elements that were compared, those at positions the attention mask admits.
  public var compared = 0
  /// Elements that differ; NaN matches NaN and zeros of either sign match.
  public var differing = 0
  /// The largest absolute difference.
  public var maximumAbsolute = 0.0
  /// The largest difference in representable numbers.
  public var maximumULP: UInt64 = 0
  /// The largest magnitude in the reference.
  public var maximumReference = 0.0
  /// Zeros whose signs differ.
  public var signDifferences = 0
  /// The cosine of both, 1 when either is zero.
  public var cosine = 1.0
  /// Where the first difference sits, as a phrase: `layer 3, head 5`.
  public var firstDifference: String?
}

/// The second of two compared models does not run, where the first did.
public struct ComparedModelFailure: Error, CustomStringConvertible {
  /// What went wrong.
  public var error: GraphError

  /// A sentence.
  public var description: String { "the compacted model does not run: \(error)" }
}

/// Both models on the same inputs: outputs, hidden states, every kept head, every kept neuron.
public struct RunComparison: Sendable {
  /// Agreement value by value, in the order of the reference's graph.
  public private(set) var values: [ValueAgreement] = []
  /// The share of positions where the largest logit is the same, when there are logits.
  public private(set) var topAgreement: Double?
  /// The arithmetic of both runs.
  public let precision: ComputingPrecision

  /// Runs both graphs and compares.
  ///
  /// Where a value has the batch and sequence axes of the attention mask, only positions that the mask admits are compared.
  ///
  /// - Parameters:
  ///   - otherInputs: the inputs of the other graph, where they are not the same.
  ///   - precision: the arithmetic of both runs; in double precision, doubles are compared.
  /// - Throws: what running either graph throws.
  public init(
    reference: Graph, other: Graph, values compared: [ComparedValue], inputs: [String: Tensor],
    otherInputs: [String: Tensor]? = nil, precision: ComputingPrecision = .declared, pool: ThreadPool
  ) throws {
    self.precision = precision
    let valid = inputs["attention_mask"].map { $0.integers().map { $0 != 0 } }
    var kept: [Int: ComparedNumbers] = [:]
    var empty: Set<Int> = []
    // Each model runs once, so its weights are packed when they are reached and dropped again.
    let first = try GraphExecutor(reference, threads: pool, weights: .streamed, precision: precision)
    let byReference = Dictionary(grouping: compared.indices) { compared[$0].reference }
    _ = try first.run(inputs: inputs, observing: Set(compared.map(\.reference))) { id, tensor in
      for index in byReference[id] ?? [] {
        let chosen = compared[index].select(from: tensor)
        if tensor.elementCount == 0 { empty.insert(index) }
        kept[index] = select(chosen.tensor, chosen.positions, rows(of: id, chosen.tensor, in: reference, valid))
      }
    }
    let second = try Self.runnable(other, pool, precision)
    let byOther = Dictionary(grouping: compared.indices) { compared[$0].other }
    var agreements: [Int: ValueAgreement] = [:]
    var top: Double?
    do {
      _ = try second.run(inputs: otherInputs ?? inputs, observing: Set(compared.map(\.other))) { id, tensor in
        for index in byOther[id] ?? [] {
          let chosen = compared[index].selectOther(from: tensor)
          let rows = rows(of: id, chosen.tensor, in: other, valid)
          let found = select(chosen.tensor, chosen.positions, rows)
          let width = chosen.positions?.count ?? rows.width
          var agreement = agree(compared[index], kept[index] ?? .empty, found, width: width)
          if compared[index].kind == .output, compared[index].name == "logits" {
            top = topShare(kept[index] ?? .empty, found, width: rows.width)
          }
          agreement.isEmpty = empty.contains(index) && tensor.elementCount == 0
          agreements[index] = agreement
          kept[index] = nil
        }
      }
    } catch let error as GraphError {
      throw ComparedModelFailure(error: error)
    }
    values = compared.indices.compactMap { agreements[$0] }
    topAgreement = top
  }

  private static func runnable(
    _ graph: Graph, _ pool: ThreadPool, _ precision: ComputingPrecision
  ) throws -> GraphExecutor {
    do {
      return try GraphExecutor(graph, threads: pool, weights: .streamed, precision: precision)
    } catch let error as GraphError {
      throw ComparedModelFailure(error: error)
    }
  }

  /// How a value is cut into rows, and which of them are compared.
  private struct Rows {
    /// The elements of a row: those of the last axis, or one where batch and sequence are all the axes there are.
    var width: Int
    /// The rows that are compared; nil for all.
    var chosen: [Int]?
  }

  private func rows(of id: ValueID, _ tensor: Tensor, in graph: Graph, _ valid: [Bool]?) -> Rows {
    let all = Rows(width: max(tensor.extents.last ?? 1, 1), chosen: nil)
    guard let valid, tensor.rank >= 2, let shape = graph[id].type?.shape, shape.count == tensor.rank,
      let mask = graph.value(named: "attention_mask").flatMap({ graph[$0].type?.shape }), mask.count == 2,
      shape[0] == mask[0], shape[1] == mask[1],
      tensor.extents[0] * tensor.extents[1] == valid.count
    else { return all }
    let width = tensor.rank == 2 ? 1 : all.width
    let perPosition = tensor.rank == 2 ? 1 : tensor.extents[2...].dropLast().reduce(1, *)
    let chosen = valid.indices.filter { valid[$0] }.flatMap { position in
      (0..<perPosition).map { position * perPosition + $0 }
    }
    return Rows(width: width, chosen: chosen)
  }

  private func select(_ tensor: Tensor, _ positions: [Int]?, _ rows: Rows) -> ComparedNumbers {
    func chosen<Element>(from all: [Element]) -> [Element] {
      if positions == nil, rows.chosen == nil { return all }
      var result: [Element] = []
      for row in rows.chosen ?? Array(0..<all.count / rows.width) {
        if let positions {
          for position in positions { result.append(all[row * rows.width + position]) }
        } else {
          result += all[row * rows.width..<(row + 1) * rows.width]
        }
      }
      return result
    }
    return precision == .double ? .double(chosen(from: tensor.doubles())) : .single(chosen(from: tensor.floats()))
  }

  private func agree(
    _ value: ComparedValue, _ a: ComparedNumbers, _ b: ComparedNumbers, width: Int
  ) -> ValueAgreement {
    var result = ValueAgreement(value: value)
    guard let comparison = a.compared(with: b) else {
      result.differing = max(a.count, b.count)
      result.maximumAbsolute = .infinity
      result.firstDifference = "\(value.name): other extents"
      return result
    }
    result.compared = a.count
    result.differing = comparison.differing
    result.maximumAbsolute = comparison.nonfiniteMismatches > 0 ? .infinity : comparison.maximumAbsolute
    result.maximumULP = comparison.maximumULP
    result.maximumReference = comparison.maximumReference
    result.signDifferences = comparison.signDifferences
    let (both, x, y) = comparison.dotProducts
    result.cosine = x > 0 && y > 0 ? both / (x * y).squareRoot() : 1
    if let first = comparison.firstDiffering { result.firstDifference = phrase(value, first, width) }
    return result
  }

  /// Where a difference sits, in words.
  private func phrase(_ value: ComparedValue, _ index: Int, _ width: Int) -> String {
    let place = index % max(width, 1)
    let unit = value.units.flatMap { $0.indices.contains(place) ? $0[place] : nil }
    let layer = value.layer.map { "layer \($0), " } ?? ""
    switch value.kind {
    case .heads: return layer + "head \(unit ?? place)"
    case .neurons: return layer + "neuron \(unit ?? place)"
    case .state, .output: return "\(value.name), channel \(place) of compared row \(index / max(width, 1))"
    }
  }

  private func topShare(_ a: ComparedNumbers, _ b: ComparedNumbers, width: Int) -> Double? {
    guard width > 0, a.count == b.count, a.count >= width else { return nil }
    let (first, second) = (a.largest(inRowsOf: width), b.largest(inRowsOf: width))
    return Double(zip(first, second).count { $0 == $1 }) / Double(first.count)
  }

  /// Whether anything was compared in each output; a run without a single valid position says nothing.
  public var comparesOutputs: Bool {
    let outputs = values.filter { $0.value.kind == .output && !$0.isEmpty }
    return !outputs.isEmpty && outputs.allSatisfy { $0.compared > 0 || $0.differing > 0 }
  }
  /// Whether every compared element is equal.
  public var isBitIdentical: Bool { values.allSatisfy { $0.differing == 0 } }
  /// The largest absolute difference of all values.
  public var maximumAbsolute: Double { values.map(\.maximumAbsolute).max() ?? 0 }
  /// The largest difference in representable numbers.
  public var maximumULP: UInt64 { values.map(\.maximumULP).max() ?? 0 }
  /// The first difference in the order of the graph, as a phrase.
  public var firstDifference: String? { values.lazy.compactMap(\.firstDifference).first }

  /// Whether each value's largest difference is within a share of its largest magnitude; for 0, whether every bit is equal.
  public func isWithin(_ tolerance: Double) -> Bool {
    values.allSatisfy { $0.differing == 0 || $0.maximumAbsolute <= tolerance * $0.maximumReference }
  }
}
