import GraphCompaction
import Pollard
import PollardBase
import Testing

private let conventions = golden + "/mask-conventions"

/// A rule for the scores of `movement`, with what torch made of them.
private struct RuleCase: Sendable, CustomTestStringConvertible {
  var rule: ScoreRule
  var threshold: Double?
  var name: String
  var model = "movement"

  var request: ScoreRequest { ScoreRequest(threshold: threshold, rule: rule) }
  var testDescription: String { name }

  static let all = [
    RuleCase(rule: .topk, threshold: 0.55, name: "topk-0.55"),
    RuleCase(rule: .globalTopk, threshold: 0.4, name: "global-topk-0.4"),
    RuleCase(rule: .value, threshold: 0.3, name: "value-0.3"),
    RuleCase(rule: .sigmoid, threshold: 0.6, name: "sigmoid-0.6"), RuleCase(rule: .l0, name: "l0"),
    RuleCase(rule: .magnitude, threshold: 0.5, name: "magnitude-0.5", model: "magnitude"),
  ]
}

/// Fails where outputs lie further from torch's than float32 arithmetic explains.
private func expectOutputs(_ path: String, like expected: String, inputs: String) throws {
  let results = try Tensors.doubles(path)
  let references = try Tensors.doubles(expected)
  let valid = try #require(Tensors.doubles(inputs)["attention_mask"]).values
  #expect(!references.isEmpty)
  for (name, reference) in references {
    let result = try #require(results[name], "\(name)")
    #expect(result.extents == reference.extents, "\(name)")
    let isPerToken = name.hasPrefix("hidden_states") || name == "last_hidden_state"
    let width = isPerToken ? reference.values.count / valid.count : 0
    let places = reference.values.indices.filter { width == 0 || valid[$0 / width] != 0 }
    let scale = places.map { abs(reference.values[$0]) }.max() ?? 0
    let gap = places.map { abs(result.values[$0] - reference.values[$0]) }.reduce(0) {
      $1.isNaN ? .infinity : max($0, $1)
    }
    #expect(scale > 0 && gap <= Tolerances.torchDouble.share * scale, "\(name): \(gap) of \(scale)")
  }
}

@Suite("Masks as pruning tools leave them")
struct MaskConventionTests {
  // MARK: Movement pruning

  @Test("mask scores: the masked matrices are torch's, to the bit but for gates of L0", arguments: RuleCase.all)
  private func movement(_ rule: RuleCase) throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: "\(conventions)/\(rule.model)/model", scores: rule.request)
    try model.convert(to: folder("out"), type: nil, pool: pool)
    let found = try Tensors.doubles(folder("out/model.safetensors"))
    let expected = try Tensors.doubles("\(conventions)/\(rule.model)/masked-\(rule.name).safetensors")
    #expect(expected.count == 12)
    for (name, reference) in expected {
      let values = try #require(found[name]).values
      #expect(values.count == reference.values.count)
      if rule.rule == .l0 {
        #expect(zip(values, reference.values).allSatisfy { abs($0 - $1) <= 1e-6 * max(1, abs($1)) }, "\(name)")
      } else {
        #expect(values == reference.values, "\(name)")
      }
    }
    #expect(!found.keys.contains { $0.hasSuffix("mask_scores") })
    let config = try Files.json(folder("out/config.json"))
    #expect(config["model_type"] == "bert" && config["architectures"] == ["BertForSequenceClassification"])
    #expect(config["pruning_method"] == nil && config["mask_init"] == nil && config["mask_scale"] == nil)
  }

  #if !DEBUG
    @Test("mask scores: outputs are torch's, and what is compacted is verified", arguments: RuleCase.all)
    private func movementOutputs(_ rule: RuleCase) throws {
      let folder = try TemporaryFolder()
      let path = "\(conventions)/\(rule.model)"
      let inputs = "\(path)/inputs.safetensors"
      let model = try Model(at: "\(path)/model", scores: rule.request)
      try model.run(inputs: inputs, outputs: folder("o.safetensors"), allLayers: true, pool: pool)
      try expectOutputs(folder("o.safetensors"), like: "\(path)/expected-\(rule.name).safetensors", inputs: inputs)

      let plan = try model.plan(options: PlanOptions(shape: .ragged), pool: pool)
      let report = try model.compact(plan, to: folder("small"), pool: pool)
      #expect(
        report.notes.contains { $0.contains(rule.model == "magnitude" ? "magnitude pruning" : "movement pruning") })
      #expect(
        try verify(original: model, compacted: Model(at: folder("small"), allowingRagged: true), pool: pool).equal)
      let other = ScoreRequest(
        threshold: rule.threshold.map { $0 - 0.1 } ?? 0.5, rule: rule.rule == .l0 ? .topk : rule.rule)
      let different = try verify(
        original: Model(at: "\(path)/model", scores: other),
        compacted: Model(at: folder("small"), allowingRagged: true),
        pool: pool)
      #expect(!different.equal)
    }
  #endif

  @Test("mask scores: a head without readers is dead, one whose values alone are masked is constant")
  func movementVerdicts() throws {
    // The rule comes from config.json.
    let model = try Model(at: "\(conventions)/movement/model", scores: ScoreRequest(threshold: 0.55))
    let plan = try model.plan(options: PlanOptions(shape: .ragged), pool: pool)
    #expect(plan.layers.map { $0.heads?.units.removed.map(\.index) } == [[1], []])
    #expect(plan.layers.map { $0.heads?.units.constant } == [[], [3]])
    #expect(plan.layers.map { $0.neurons?.removed.map(\.index) } == [[2, 7], []])
    #expect(plan.layers[1].neurons?.constant.contains(5) == true)
  }

  @Test("mask scores without a threshold are refused with the remedy, and inspected all the same")
  func thresholdMissing() throws {
    let path = "\(conventions)/movement/model"
    let failure = #expect(throws: FormatError.self) { try Model(at: path) }
    #expect(failure?.code.name == "thresholdMissing")
    #expect(failure?.description.contains("give --threshold") == true)
    let inspection = try inspect(path)
    #expect(inspection.layers.map(\.heads) == [4, 4])
    #expect(inspection.architecture == "BertForSequenceClassification")
    #expect(inspection.notes.contains { $0.contains("12 matrices of movement pruning's mask_scores") })
  }

  @Test(
    "thresholds that mean nothing are refused",
    arguments: [
      ("movement/model", ScoreRequest(threshold: 1.5)),
      ("movement/model", ScoreRequest(threshold: -0.1, rule: .sigmoid)),
      ("movement/model", ScoreRequest(threshold: .nan, rule: .value)),
      ("movement/model", ScoreRequest(threshold: 0.5, rule: .l0)),
      ("movement/model", ScoreRequest(threshold: 0.5, rule: .magnitude)),
      ("magnitude/model", ScoreRequest(threshold: 0.5, rule: .topk)),
      ("textpruner/dense", ScoreRequest(threshold: 0.5)), ("textpruner/dense", ScoreRequest(rule: .topk)),
    ])
  func thresholdRefused(_ name: String, _ request: ScoreRequest) throws {
    #expect(codeThrown { _ = try Model(at: "\(conventions)/\(name)", scores: request) } == "thresholdValue")
  }

  @Test("scores that fit no matrix, and scores that are no numbers, are refused by name")
  func unfittingScores() throws {
    let folder = try TemporaryFolder()
    try Files.copy(golden + "/bert-plain/dense", to: folder("m"))
    func write(_ name: String, _ shape: [Int], _ value: Float) throws {
      var tensors = try Tensors.stored(golden + "/bert-plain/dense").map {
        (name: $0.key, type: ElementType.f32, shape: $0.value.shape, bytes: $0.value.bytes)
      }
      let values = Array(repeating: value, count: shape.reduce(1, *))
      tensors.append(
        (name, .f32, shape, values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }))
      try Tensors.write(tensors, to: folder("m/model.safetensors"))
    }
    let request = ScoreRequest(threshold: 0.5, rule: .topk)
    let stem = "encoder.layer.0.output.dense"
    for (name, shape, value) in [
      (stem + ".mask_scores", [24, 36], Float(0)), (stem + ".mask_scores", [24, 37], .nan),
      ("encoder.layer.7.output.dense.mask_scores", [24, 37], 0),
      (stem + ".mask_module.context_modules.2.mask_scores", [24, 37], 0),
      (stem + ".mask_module.context_modules.0.mask_scores", [5, 37], 0),
      (stem + ".ampere_module.context_module.mask_scores", [24, 37], 0),
    ] {
      try write(name, shape, value)
      #expect(codeThrown { _ = try Model(at: folder("m"), scores: request) } == "maskScores", "\(name) \(shape)")
    }
    try write(stem + ".mask_scores", [24, 37], 0)
    #expect(codeThrown { _ = try Model(at: folder("m"), scores: request) } == nil)
    // Without pruning_method in the configuration the rule must be given.
    #expect(
      codeThrown { _ = try Model(at: folder("m"), scores: ScoreRequest(threshold: 0.5)) } == "thresholdMissing")
  }

  // MARK: nn_pruning

  @Test("nn_pruning: blocks, rows and columns, and their biases, are masked as torch masks them")
  func blocks() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: "\(conventions)/nn-pruning/model")
    try model.convert(to: folder("out"), type: nil, pool: pool)
    let found = try Tensors.doubles(folder("out/model.safetensors"))
    let expected = try Tensors.doubles("\(conventions)/nn-pruning/masked.safetensors")
    #expect(expected.count >= 24)
    for (name, reference) in expected { #expect(found[name]?.values == reference.values, "\(name)") }
    let plan = try model.plan(options: PlanOptions(shape: .ragged), pool: pool)
    #expect(plan.layers[0].heads?.units.removed.contains { $0.index == 2 && $0.rule == "H2" } == true)
    #expect(plan.layers[1].heads?.units.removed.contains { $0.index == 1 } == true)
  }

  @Test(
    "nn_pruning: what makes another model of it is refused",
    arguments: [
      ("ampere_pruning_method", "annealing" as JSONValue), ("gelu_patch", true), ("layer_norm_patch", true),
      ("rewind_model_name_or_path", "other"), ("dense_pruning_method", "magnitude"),
    ])
  func blocksRefused(_ key: String, _ value: JSONValue) throws {
    let folder = try TemporaryFolder()
    try Files.copy("\(conventions)/nn-pruning/model", to: folder("m"))
    try Files.set(key, to: value, in: folder("m/sparse_args.json"))
    #expect(codeThrown { _ = try Model(at: folder("m")) } == "unsupportedConfiguration")
  }

  @Test("a model whose norms nn_pruning replaced is refused")
  func replacedNorms() throws {
    let folder = try TemporaryFolder()
    try Files.copy(golden + "/bert-plain/dense", to: folder("m"))
    try Files.set("layer_norm_type", to: "no_norm", in: folder("m/config.json"))
    #expect(codeThrown { _ = try Model(at: folder("m")) } == "unsupportedConfiguration")
  }

  @Test("nn_pruning without its arguments needs rule and threshold")
  func blocksWithoutArguments() throws {
    let folder = try TemporaryFolder()
    try Files.copy("\(conventions)/nn-pruning/model", to: folder("m"))
    try Directories.remove(folder("m/sparse_args.json"))
    #expect(codeThrown { _ = try Model(at: folder("m")) } == "thresholdMissing")
    #expect(codeThrown { _ = try Model(at: folder("m"), scores: ScoreRequest(threshold: 0.45)) } == "thresholdMissing")
    _ = try Model(at: folder("m"), scores: ScoreRequest(threshold: 0.45, rule: .sigmoid))
  }

  #if !DEBUG
    @Test("nn_pruning: outputs are torch's, and what is compacted is verified")
    func blockOutputs() throws {
      let folder = try TemporaryFolder()
      let path = "\(conventions)/nn-pruning"
      let model = try Model(at: "\(path)/model")
      try model.run(
        inputs: "\(path)/inputs.safetensors", outputs: folder("o.safetensors"), allLayers: true, pool: pool)
      try expectOutputs(
        folder("o.safetensors"), like: "\(path)/expected-masked.safetensors", inputs: "\(path)/inputs.safetensors")
      let plan = try model.plan(options: PlanOptions(shape: .ragged), pool: pool)
      try model.compact(plan, to: folder("small"), pool: pool)
      #expect(try verify(original: "\(path)/model", compacted: folder("small"), pool: pool).equal)
    }
  #endif

  // MARK: Masks of single parameters

  static let parameterFiles = [
    ("prune.pt", "prune", "torch.nn.utils.prune"), ("prune.safetensors", "prune", "torch.nn.utils.prune"),
    ("nni.pt", "nni", "NNI"), ("fractions.npz", "fractions", "X.mask"),
  ]

  @Test(
    "masks of parameters are recognised and named, and zeros that they leave decide",
    arguments: MaskConventionTests.parameterFiles)
  func parameters(_ file: String, _ expected: String, _ phrase: String) throws {
    let folder = try TemporaryFolder()
    let (dense, masks) = (golden + "/bert-plain/dense", MaskSource.file("\(conventions)/parameters/\(file)"))
    let model = try Model(at: dense).masked(by: masks)
    let plan = try model.plan(masks: masks, options: PlanOptions(shape: .ragged), pool: pool)
    let report = try model.compact(plan, to: folder("small"), pool: pool, masks: masks)
    #expect(report.notes.contains { $0.contains(phrase) }, "\(report.notes)")
    switch expected {
    case "prune":
      #expect(plan.layers[1].heads?.units.removed.map(\.index) == [1])
      #expect(plan.layers[0].neurons?.removed.count == 9)
    case "nni":
      #expect(plan.layers[0].heads?.units.removed.map(\.index) == [2])
      #expect(plan.layers[1].neurons?.constant == [4, 30])
    default: #expect(plan.layers[2].neurons?.removed.map(\.index) == [6])
    }
    #if !DEBUG
      let inputs = "\(conventions)/parameters/inputs.safetensors"
      let reference = "\(conventions)/parameters/expected-\(expected).safetensors"
      for (name, path) in [("m.safetensors", nil), ("c.safetensors", folder("small"))] {
        let model = try path.map { try Model(at: $0, allowingRagged: true) } ?? model
        try model.run(inputs: inputs, outputs: folder(name), allLayers: true, pool: pool)
        try expectOutputs(folder(name), like: reference, inputs: inputs)
      }
      #expect(try verify(original: dense, compacted: folder("small"), masks: masks, pool: pool).equal)
      #expect(try !verify(original: dense, compacted: folder("small"), pool: pool).equal)
    #endif
  }

  @Test("the model must be opened with the masks of its parameters")
  func notApplied() throws {
    let model = try Model(at: golden + "/bert-plain/dense")
    for file in ["parameters/prune.pt", "cofi/zs.pt"] {
      let masks = MaskSource.file("\(conventions)/\(file)")
      #expect(codeThrown { _ = try model.plan(masks: masks, pool: pool) } == "masksNotApplied")
      _ = try model.masked(by: masks).masked(by: masks).plan(masks: masks, pool: pool)
      #expect(codeThrown { _ = try model.dropping(layers: [1]).masked(by: masks) } == "masksNotApplied")
      _ = try model.masked(by: masks).dropping(layers: [1]).plan(masks: masks, pool: pool)
    }
  }

  #if !DEBUG
    @Test("one flipped number in a mask of parameters is seen", arguments: ["prune.safetensors"])
    func flippedParameterMask(_ file: String) throws {
      let folder = try TemporaryFolder()
      let dense = golden + "/bert-plain/dense"
      try Files.write(folder("a.safetensors"), Files.bytes("\(conventions)/parameters/\(file)"))
      let masks = MaskSource.file(folder("a.safetensors"))
      let model = try Model(at: dense).masked(by: masks)
      try model.compact(
        model.plan(masks: masks, options: PlanOptions(shape: .ragged), pool: pool), to: folder("small"), pool: pool)
      #expect(try verify(original: dense, compacted: folder("small"), masks: masks, pool: pool).equal)
      var bytes = try Files.bytes(folder("a.safetensors"))
      // The last number of the file, 0 or 1: the other one.
      let isOne = bytes[bytes.count - 1] == 0x3F
      bytes[(bytes.count - 2)...] = isOne ? [0, 0] : [0x80, 0x3F]
      try Files.write(folder("b.safetensors"), bytes)
      let flipped = try verify(
        original: dense, compacted: folder("small"), masks: .file(folder("b.safetensors")), pool: pool)
      #expect(!flipped.equal)
    }
  #endif

  @Test("arrays that are no masks of parameters are refused")
  func parametersRefused() throws {
    let folder = try TemporaryFolder()
    let name = "encoder.layer.0.output.dense.weight"
    func bytes(_ values: [Float]) -> [UInt8] {
      values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
    }
    let ones = bytes(Array(repeating: 1, count: 24 * 37))
    var odd = ones
    func code(_ tensors: [(name: String, type: ElementType, shape: [Int], bytes: [UInt8])]) throws -> String? {
      try Tensors.write(tensors, to: folder("m.safetensors"))
      return codeThrown {
        let masks = MaskSource.file(folder("m.safetensors"))
        _ = try Model(at: golden + "/bert-plain/dense").masked(by: masks).plan(masks: masks, pool: pool)
      }
    }
    #expect(try code([(name + "_mask", .f32, [24, 37], ones)]) == nil)
    #expect(try code([("module.bert." + name, .f32, [24, 37], ones)]) == nil)
    #expect(try code([(name + "_mask", .f32, [37, 24], ones)]) == "maskShape")
    #expect(try code([(name + "_mask", .f32, [24, 37], ones), ("wings", .f32, [1], bytes([1]))]) == "unknownMask")
    #expect(try code([(name + "_mask", .f32, [24, 37], ones), (name, .f32, [24, 37], ones)]) == "unknownMask")
    odd.replaceSubrange(0..<4, with: bytes([-0.5]))
    #expect(try code([(name, .f32, [24, 37], odd)]) == "maskValue")
    #expect(try code([(name + "_mask", .f32, [24, 37], odd)]) == nil)
    odd.replaceSubrange(0..<4, with: bytes([.infinity]))
    #expect(try code([(name + "_mask", .f32, [24, 37], odd)]) == "maskValue")
  }

  // MARK: CoFi

  #if !DEBUG
    @Test("CoFi's gates give the function that CoFi multiplies them into", arguments: ["zs", "zs-sublayers"])
    func gates(_ name: String) throws {
      let folder = try TemporaryFolder()
      let (dense, path) = (golden + "/bert-plain/dense", "\(conventions)/cofi")
      let masks = MaskSource.file("\(path)/\(name).pt")
      let model = try Model(at: dense).masked(by: masks)
      let plan = try model.plan(masks: masks, options: PlanOptions(shape: .ragged), pool: pool)
      let report = try model.compact(plan, to: folder("small"), pool: pool, masks: masks)
      #expect(report.notes.contains { $0.contains("CoFi's gates") })
      #expect(report.notes.contains { $0.contains("the norm after it stays") } == (name == "zs-sublayers"))
      #expect(plan.layers[0].heads?.units.removed.map(\.index) == [1])
      #expect(plan.layers[0].neurons?.removed.map(\.index) == [3, 8, 30])
      #expect(plan.layers[1].neurons?.after == (name == "zs" ? 34 : 1))
      try Model(at: folder("small"), allowingRagged: true).run(
        inputs: "\(path)/inputs.safetensors", outputs: folder("o.safetensors"), allLayers: true, pool: pool)
      try expectOutputs(
        folder("o.safetensors"), like: "\(path)/expected-\(name).safetensors", inputs: "\(path)/inputs.safetensors")
      #expect(try verify(original: dense, compacted: folder("small"), masks: masks, pool: pool).equal)
    }
  #endif

  @Test("CoFi's gates of hidden channels are refused with the reason")
  func hiddenGates() throws {
    let masks = MaskSource.file("\(conventions)/cofi/zs-hidden.pt")
    let failure = #expect(throws: CompactionError.self) {
      _ = try Model(at: golden + "/bert-plain/dense").masked(by: masks)
    }
    #expect(failure?.code.name == "unknownMask")
    #expect(failure?.description.contains("norms average over the kept channels alone") == true)
  }

  // MARK: TextPruner

  #if !DEBUG
    @Test("TextPruner's masks give the model that TextPruner itself prunes")
    func textPruner() throws {
      let folder = try TemporaryFolder()
      let path = "\(conventions)/textpruner"
      let masks = MaskSource.file("\(path)/mask.pt")
      let model = try Model(at: "\(path)/dense")
      let plan = try model.plan(masks: masks, options: PlanOptions(shape: .ragged), pool: pool)
      let report = try model.compact(plan, to: folder("small"), pool: pool, masks: masks)
      #expect(report.notes.contains { $0.contains("TextPruner's tuple") })
      #expect(Set(plan.layers.map { $0.neurons?.after }).count > 1, "the widths are uneven")
      try Model(at: folder("small"), allowingRagged: true).run(
        inputs: "\(path)/inputs.safetensors", outputs: folder("o.safetensors"), allLayers: true, pool: pool)
      try expectOutputs(
        folder("o.safetensors"), like: "\(path)/expected-pruned.safetensors", inputs: "\(path)/inputs.safetensors")
      #expect(try verify(original: "\(path)/dense", compacted: folder("small"), masks: masks, pool: pool).equal)
    }
  #endif

  // MARK: pruned_heads

  static let pruned: [(String, String, [Int])] = [
    ("bert", "bert-plain", [2, 3, 1]), ("distilbert", "distilbert-plain", [4, 2, 4]),
    ("gpt2", "gpt2-plain", [2, 1, 3]),
  ]

  @Test("heads that transformers removed are read from pruned_heads", arguments: MaskConventionTests.pruned)
  func prunedHeads(_ name: String, _ dense: String, _ heads: [Int]) throws {
    let folder = try TemporaryFolder()
    let path = "\(conventions)/pruned-heads-\(name)"
    let model = try Model(at: path)
    #expect(model.layers.map(\.heads) == heads)
    #expect(try inspect(path).layers.map(\.heads) == heads)
    try model.convert(to: folder("half"), type: .f16, pool: pool)
    #expect(try Model(at: folder("half")).layers.map(\.heads) == heads)
    // One head more goes, numbered among those that are left; the configuration counts in the original.
    try Files.write(folder("m.json"), Array(#"{"remove": {"heads": {"0": [1]}}}"#.utf8))
    let plan = try model.plan(
      masks: .file(folder("m.json")), options: PlanOptions(loader: "transformers-4"), pool: pool)
    try model.compact(plan, to: folder("small"), pool: pool, masks: .file(folder("m.json")))
    let before = try Files.json("\(path)/config.json")["pruned_heads"]?["0"]?.arrayValue?.compactMap(\.intValue) ?? []
    let after = try Files.json(folder("small/config.json"))["pruned_heads"]?["0"]?.arrayValue?.compactMap(\.intValue)
    #expect(after?.count == before.count + 1 && Set(before).isSubset(of: after ?? []))
    #expect(try Model(at: folder("small")).layers[0].heads == heads[0] - 1)
    #if !DEBUG
      try model.run(
        inputs: "\(path)/inputs.safetensors", outputs: folder("o.safetensors"), allLayers: true, pool: pool)
      try expectOutputs(
        folder("o.safetensors"), like: "\(path)/expected-pruned.safetensors", inputs: "\(path)/inputs.safetensors")
      #expect(try verify(original: path, compacted: folder("small"), masks: .file(folder("m.json")), pool: pool).equal)
      // What transformers removed is the dense model under the same list. GPT-2's dense files also have buffers.
      if name != "gpt2" {
        let whole = try verify(
          original: "\(golden)/\(dense)/dense", compacted: path, masks: .file("\(path)/config.json"), pool: pool)
        #expect(whole.equal, "\(whole.text)")
      }
    #endif
  }

  // MARK: Contradictions

  @Test("units that are declared off and not dead are counted by kind and layer")
  func contradictions() throws {
    let folder = try TemporaryFolder()
    let masked = golden + "/bert-plain/masked"
    func report(_ model: String, _ masks: String) throws -> CompactionReport {
      let model = try Model(at: model)
      let plan = try model.plan(masks: .file(masks), options: PlanOptions(shape: .ragged), pool: pool)
      return try model.compact(plan, to: folder("\(Int.random(in: 0..<1 << 40))"), pool: pool)
    }
    // The masks that the checkpoint was masked by: no contradiction.
    let own = try report(masked, golden + "/bert-plain/masks.json")
    #expect(own.json["contradictions"] == ["heads": 0, "ffn": 0, "other": 0, "layers": []])
    #expect(!own.text.contains("contradiction"))
    // The same with heads and neurons that live.
    var document = try Files.json(golden + "/bert-plain/masks.json")
    let dead = Set(document["remove"]?["ffn"]?["0"]?.arrayValue?.compactMap(\.intValue) ?? [])
    let live = (0..<37).filter { !dead.contains($0) }.prefix(2)
    document = [
      "remove": [
        "heads": ["0": [1], "1": [0, 2], "2": [0, 2]],
        "ffn": ["0": .array((dead.sorted() + live).map { JSONValue($0) })],
      ]
    ]
    try Files.write(folder("m.json"), document.serializedBytes(.compact))
    let other = try report(masked, folder("m.json"))
    let expected: JSONValue = [
      "heads": 2, "ffn": 2, "other": 0,
      "layers": [["index": 0, "heads": 0, "ffn": 2], ["index": 1, "heads": 2, "ffn": 0]],
    ]
    #expect(other.json["contradictions"] == expected)
    #expect(other.text.contains("contradiction: 4 of the 16 units"), "\(other.text)")
    #expect(other.text.contains("2 heads (layer 1: 2); 2 neurons (layer 0: 2)"))
    let output = try #require(other.output)
    #expect(try Files.json(output + "/compaction.json")["contradictions"] == expected)
    // A dense checkpoint is no contradiction.
    let dense = try report(golden + "/bert-plain/dense", golden + "/bert-plain/masks.json")
    #expect(dense.json["contradictions"]?["heads"] == 3)
    #expect(dense.text.contains("the mask alone decides: none of the 33 units is dead"))
  }
}
