import PollardBase
import TensorKernels
import TensorStorage

/// A checkpoint with mask scores, read as the model that they mask: each matrix times its mask, without the scores.
///
/// Masks are made once, when the checkpoint is opened, one byte for each weight in a nameless temporary file; the product is
/// formed when weights are read, a chunk at a time.
public struct ScoreMasking: Sendable {
  /// The tensors, in their order.
  public private(set) var tensors: [NamedTensor] = []
  /// The configuration of the plain class: what says that the model is masked is taken out.
  public let config: JSONValue
  /// Sentences about what was found.
  public private(set) var notes: [String] = []
  /// Whether weights are masked.
  public private(set) var isMasked = false
}

extension HuggingFaceFolder {
  /// The checkpoint as its mask scores make it; the checkpoint itself where it has none.
  ///
  /// - Parameter request: what the caller says; the rest is taken from `config.json` (`pruning_method`) or `sparse_args.json`.
  /// - Throws: `thresholdMissing` when nobody says from where on scores keep; `thresholdValue` for one that means nothing, and for one that is
  ///   given to a checkpoint without scores; `maskScores` for scores that do not fit their matrices or are no numbers; what
  ///   `BlockPruningArguments` throws; what writing a temporary file throws.
  /// - Complexity: O(scores) time; memory does not depend on their number.
  public func masked(by request: ScoreRequest) throws(FormatError) -> ScoreMasking {
    let tensors = tensors
    let method = config["pruning_method"]?.stringValue
    let isMaskedClass = config["model_type"]?.stringValue == "masked_bert"
    var masking = ScoreMasking(config: isMaskedClass ? config.withoutMaskedClass : config)
    guard let scored = try ScoredTensors(tensors, pruningMethod: isMaskedClass ? method : nil) else {
      guard request.isEmpty else {
        throw FormatError(
          .thresholdValue, file: checkpoint.location.folder, subject: .option("--threshold"),
          expected: "a checkpoint with mask_scores", found: "none",
          remedy: "leave --threshold and --threshold-rule out")
      }
      masking.keep(tensors)
      return masking
    }
    do throws(FormatError) {
      try masking.mask(tensors, scored, request, pruningMethod: method, try blockArguments(scored.convention))
    } catch { throw error.inFile(checkpoint.location.folder) }
    return masking
  }

  private func blockArguments(_ convention: ScoreConvention) throws(FormatError) -> BlockPruningArguments {
    let path = Paths.join(checkpoint.location.folder, BlockPruningArguments.fileName)
    guard case .blocks = convention, Directories.kind(of: path) == .file else { return BlockPruningArguments() }
    return try BlockPruningArguments(JSONValue(file: path, limit: 16 << 20), file: path)
  }
}

extension ScoreMasking {
  fileprivate init(config: JSONValue) { self.config = config }

  fileprivate mutating func keep(_ all: [NamedTensor]) { tensors = all }

  fileprivate mutating func mask(
    _ all: [NamedTensor], _ scored: ScoredTensors, _ request: ScoreRequest, pruningMethod: String?,
    _ blocks: BlockPruningArguments
  ) throws(FormatError) {
    tensors = all
    let count = scored.matrices.count
    let found = "\(count) matrices of \(scored.convention.phrase)"
    let parameters = try parameters(scored, request, pruningMethod: pruningMethod, blocks, found)
    let threshold = request.threshold ?? blocks.threshold
    let needsThreshold = parameters.contains { $0.rule != .l0 }
    guard let threshold = needsThreshold ? threshold : 0 else {
      guard request.allowsUndecided else {
        throw FormatError(
          .thresholdMissing, subject: .option("--threshold"), expected: "the value that training ended with",
          found: found,
          remedy: "give --threshold, which \(Self.meaning(parameters.first?.rule))")
      }
      notes.append("\(found): which weights go is decided by --threshold")
      drop(scored.scores)
      return
    }
    if !needsThreshold, request.threshold != nil {
      throw FormatError(
        .thresholdValue, subject: .option("--threshold"), expected: "no threshold under the rule l0",
        found: "\(threshold)")
    }
    for rule in Set(parameters.map(\.rule)) where !(rule.thresholds.contains(threshold) || rule == .l0) {
      throw FormatError(
        .thresholdValue, subject: .option("--threshold"),
        expected: "a number from 0 to 1 under the rule \(rule.rawValue)",
        found: "\(threshold)")
    }
    try multiply(parameters, threshold, blocks)
    let rules = ScoreRule.allCases.filter { rule in parameters.contains { $0.rule == rule } }
    notes.append(found + ", read multiplied out: " + rules.map { $0.phrase(threshold) }.joined(separator: "; "))
    isMasked = true
    drop(scored.scores)
  }

  /// The matrices with their rules.
  private func parameters(
    _ scored: ScoredTensors, _ request: ScoreRequest, pruningMethod: String?, _ blocks: BlockPruningArguments,
    _ found: String
  ) throws(FormatError) -> [ScoredParameter] {
    var biases: [String: Int] = [:]
    if blocks.masksBiases {
      for (position, tensor) in tensors.enumerated() where tensor.name.hasSuffix(".bias") {
        biases[tensor.name] = position
      }
    }
    var result: [ScoredParameter] = []
    for (position, grid) in scored.matrices {
      let name = tensors[position].name
      var rule: ScoreRule?
      switch scored.convention {
      case .magnitude: rule = .magnitude
      case .movement: rule = pruningMethod.flatMap { ScoreRule(pruningMethod: $0) }
      case .blocks: rule = blocks.rule(of: name)
      }
      guard let rule = request.rule ?? rule ?? (request.allowsUndecided ? .topk : nil) else {
        throw FormatError(
          .thresholdMissing, subject: .option("--threshold-rule"),
          expected: ScoreRule.allCases.map(\.rawValue).joined(separator: ", "),
          found: "\(found), and no file that says by which rule",
          remedy: "give --threshold-rule with --threshold")
      }
      guard tensors[position].weight.type.isParameterType else { throw .unexpectedParameterType(tensors[position]) }
      guard (rule == .magnitude) == (scored.convention == .magnitude) else {
        throw FormatError(
          .thresholdValue, subject: .option("--threshold-rule"),
          expected: scored.convention == .magnitude ? "magnitude" : "a rule for the scores that are stored",
          found: rule.rawValue)
      }
      result.append(
        ScoredParameter(
          position: position, grid: grid, rule: rule,
          bias: blocks.masksBiases ? biases[name.dropLast("weight".count) + "bias"] : nil))
    }
    return result
  }

  /// Makes the masks and multiplies them in.
  private mutating func multiply(
    _ parameters: [ScoredParameter], _ threshold: Double, _ blocks: BlockPruningArguments
  ) throws(FormatError) {
    var masks: [(position: Int, offset: Int, type: ElementType)] = []
    let file = try FileSource.temporary { output throws(FormatError) in
      var writer = MaskWriter(output: output)
      let global =
        try parameters.contains { $0.rule == .globalTopk }
        ? ScoreCut.global(threshold, parameters.map(\.grid)) : nil
      for parameter in parameters {
        let cut = try ScoreCut(
          parameter.rule, threshold, parameter.grid, global: global, leastShare: blocks.leastShare)
        do throws(FormatError) {
          masks.append((parameter.position, writer.offset, parameter.rule == .l0 ? .f32 : .bool))
          let rows = try writer.write(parameter, cut)
          if let bias = parameter.bias, tensors[bias].weight.shape == [rows.count] {
            masks.append((bias, writer.offset, .bool))
            try writer.write(rows)
          }
        } catch {
          var error = error
          error.subject = error.subject ?? .tensor(tensors[parameter.position].name)
          throw error
        }
      }
      try writer.flush()
    }
    for (position, offset, type) in masks {
      let weight = tensors[position].weight
      let mask = Weight.stored(file, byteOffset: offset, type: type, shape: weight.shape)
      tensors[position].weight = weight.multiplied(by: mask)
    }
  }

  private mutating func drop(_ positions: Set<Int>) {
    tensors = tensors.enumerated().filter { !positions.contains($0.offset) }.map(\.element)
  }

  private static func meaning(_ rule: ScoreRule?) -> String {
    switch rule {
    case .topk, .globalTopk, .magnitude, nil: "is the fraction of the weights that is kept"
    case .value: "is the score above which a weight stays"
    case .sigmoid: "is what the sigmoid of a score must be above for its weight to stay"
    case .l0: "is not needed"
    }
  }
}

/// Writes masks one after the other.
private struct MaskWriter {
  let output: OutputFile
  /// Where the next byte goes.
  var offset: Int { written + pending.count }
  private var written = 0
  private var pending: [UInt8] = []

  init(output: OutputFile) { self.output = output }

  /// Writes bytes, now or with those that follow.
  mutating func write(_ bytes: [UInt8]) throws(FormatError) {
    pending += bytes
    if pending.count >= 1 << 20 { try flush() }
  }

  /// Writes what was held back.
  mutating func flush() throws(FormatError) {
    try output.write(pending, at: written)
    written += pending.count
    pending.removeAll(keepingCapacity: true)
  }

  /// Writes the mask of a matrix; tells for each of its rows whether it keeps anything.
  mutating func write(_ parameter: ScoredParameter, _ cut: ScoreCut) throws(FormatError) -> [UInt8] {
    var cut = cut
    let grid = parameter.grid
    let columns = grid.scores.shape[1]
    var kept: [UInt8] = []
    try grid.forEachChunk { _, scores throws(FormatError) in
      guard scores.allSatisfy({ !$0.isNaN }) else {
        throw FormatError(.maskScores, expected: "numbers", found: "NaN")
      }
      for start in stride(from: 0, to: scores.count, by: columns) {
        let row = UnsafeBufferPointer(rebasing: scores[start..<start + columns])
        let gates: [Float]
        switch parameter.rule {
        case .l0: gates = row.map(Self.gate)
        case .magnitude: gates = row.map { cut.keeps($0.magnitude) ? 1 : 0 }
        default: gates = row.map { cut.keeps($0) ? 1 : 0 }
        }
        var bytes: [UInt8] = []
        for gate in gates {
          for _ in 0..<grid.blockColumns {
            if parameter.rule == .l0 {
              withUnsafeBytes(of: gate.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            } else {
              bytes.append(gate == 0 ? 0 : 1)
            }
          }
        }
        let keepsAny: UInt8 = gates.contains { $0 != 0 } ? 1 : 0
        for _ in 0..<grid.blockRows {
          try write(bytes)
          kept.append(keepsAny)
        }
      }
    }
    return kept
  }

  /// The gate that a score of L0 regularisation opens.
  private static func gate(_ score: Float) -> Float {
    let open = Float(Kernels.unary(.sigmoid, Double(score))) * Float(1.2) + Float(-0.1)
    return min(1, max(0, open))
  }
}

extension JSONValue {
  /// The configuration of the plain class of a masked BERT.
  fileprivate var withoutMaskedClass: JSONValue {
    var result = settingKey("model_type", to: "bert")
    if let names = self["architectures"]?.arrayValue {
      result = result.settingKey(
        "architectures",
        to: .array(
          names.map { name in
            guard let text = name.stringValue, text.hasPrefix("Masked") else { return name }
            return JSONValue(String(text.dropFirst("Masked".count)))
          }))
    }
    for key in ["pruning_method", "mask_init", "mask_scale"] { result = result.removingKey(key) }
    return result
  }
}
