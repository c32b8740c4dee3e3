import GraphExecution
import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

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
  /// How far the reference's outputs are from those of the unmasked model, as a share of the largest; nil when that did not run.
  public private(set) var distanceFromUnmasked: Double?
  /// The operator at which the models part, when that was looked for and found.
  public var divergence: Divergence?
  /// The arithmetic of both runs.
  public let precision: ComputingPrecision

  /// Runs both graphs side by side and compares.
  ///
  /// The models take turns, so that a value is compared when it appears and let go: what is in memory at a time is what lies between two
  /// layers of each, and a strip of a matrix for each thread. Where a value has the batch and sequence axes of the attention mask, only
  /// positions that the mask admits are compared.
  ///
  /// - Parameters:
  ///   - otherInputs: the inputs of the other graph, where they are not the same.
  ///   - unmasked: a graph with the reference's outputs, to tell how far these are from its own.
  ///   - precision: the arithmetic of all runs; in double precision, doubles are compared.
  ///   - progress: is called with the share that is done.
  /// - Throws: what running the reference throws; `ComparedModelFailure` for the other.
  public init(
    reference: Graph, other: Graph, values compared: [ComparedValue], inputs: [String: Tensor],
    otherInputs: [String: Tensor]? = nil, unmasked: Graph? = nil, precision: ComputingPrecision = .declared,
    pool: ThreadPool, progress: VerificationProgress.Handler? = nil
  ) throws {
    self.precision = precision
    var pairs = compared.map { ComparedPair(value: $0, reference: 0, other: 1) }
    if let unmasked {
      for (id, output) in zip(unmasked.outputs, reference.outputs) {
        let value = ComparedValue(
          name: unmasked[id].name, kind: .output, layer: nil, reference: id, other: output)
        pairs.append(ComparedPair(value: value, reference: 2, other: 0))
      }
    }
    var walk = try SideBySide(
      [(reference, inputs), (other, otherInputs ?? inputs)] + (unmasked.map { [($0, inputs)] } ?? []),
      precision: precision,
      pool: pool
    ) { side in Set(pairs.flatMap { $0.values(of: side) }) }
    let parts = PartSelection(inputs: inputs, graphs: [reference, other] + (unmasked.map { [$0] } ?? []))
    var byValue: [SideValue: [Int]] = [:]
    for (index, pair) in pairs.enumerated() {
      byValue[SideValue(side: pair.reference, value: pair.value.reference), default: []].append(index)
      byValue[SideValue(side: pair.other, value: pair.value.other), default: []].append(index)
    }
    var waiting: [Int: ComparedPart] = [:]
    var agreements: [Int: ValueAgreement] = [:]
    var lastLayer: Int?
    var top: Double?
    func observe(_ side: Int, _ id: ValueID, _ tensor: Tensor) {
      for index in byValue[SideValue(side: side, value: id)] ?? [] {
        let pair = pairs[index]
        let isReference = side == pair.reference
        let part = parts.part(of: tensor.comparable, id, pair.value, side: side, isReference: isReference)
        guard let known = waiting.removeValue(forKey: index) else {
          waiting[index] = part
          continue
        }
        let (a, b) = isReference ? (part, known) : (known, part)
        agreements[index] = ValueAgreement(pair.value, a, b, pool)
        lastLayer = pair.value.layer ?? lastLayer
        if index < compared.count, pair.value.kind == .output, pair.value.name == "logits" {
          top = ComparedPart.topShare(a, b, pool)
        }
      }
    }
    while try walk.advance(observe) {
      progress?(VerificationProgress(stage: .run, share: walk.progress, layer: lastLayer))
    }
    // What the other shows and the reference never does is a difference; what only the reference shows, as in a branch, is none.
    for (index, part) in waiting where part.side == pairs[index].other {
      agreements[index] = ValueAgreement(pairs[index].value, ComparedPart(side: pairs[index].reference), part, pool)
    }
    topAgreement = top
    values = compared.indices.compactMap { agreements[$0] }
    if unmasked != nil {
      let changes = pairs.indices.dropFirst(compared.count).compactMap { agreements[$0] }
      distanceFromUnmasked = changes.map { $0.maximumReference > 0 ? $0.maximumAbsolute / $0.maximumReference : 0 }
        .max()
    }
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
  /// The largest difference of all values, each as a share of the value's largest magnitude.
  public var maximumShare: Double {
    values.map { $0.maximumAbsolute == 0 ? 0 : $0.maximumAbsolute / $0.maximumReference }.max() ?? 0
  }
  /// The largest difference in representable numbers.
  public var maximumULP: UInt64 { values.map(\.maximumULP).max() ?? 0 }
  /// The first difference in the order of the graph, as a phrase.
  public var firstDifference: String? { values.lazy.compactMap(\.firstDifference).first }

  /// Whether each value's largest difference is within a share of its largest magnitude; for 0, whether every bit is equal.
  public func isWithin(_ tolerance: Double) -> Bool {
    values.allSatisfy { $0.differing == 0 || $0.maximumAbsolute <= tolerance * $0.maximumReference }
  }
}
