import CheckpointFormats
import PollardBase
import Testing

@Suite("mask scores, chooses and says what it did")
struct MaskCommandTests {
  private let bert = "\(golden)/bert-masked-lm/dense"

  #if !DEBUG
    @Test(
      "the classic exercise: DistilBERT, a fifth of the heads by the norm of their output projection, over the model")
    func exercise() throws {
      let place = try Workplace()
      let model = "'\(golden)/distilbert-masked-lm-5/dense'"
      let inputs = "'\(golden)/distilbert-masked-lm-5/inputs.safetensors'"
      let outcome = try place.shell(
        """
        set -e
        "$POLLARD" mask \(model) masks.safetensors --heads 34% --scope global --importance l2 --slices output --scores scores.safetensors --json > mask.json
        "$POLLARD" compact \(model) small --masks masks.safetensors --for transformers-4 --json > compact.json
        "$POLLARD" verify \(model) small --masks masks.safetensors --json > verify.json
        "$POLLARD" run \(model) --inputs \(inputs) --repeat 2 --json > before.json
        "$POLLARD" run small --inputs \(inputs) --repeat 2 --json > after.json
        """)
      #expect(outcome.status == 0, "\(outcome.errors)")
      func document(_ name: String) throws -> JSONValue { try JSONValue(parsing: place.bytes(name)) }
      let mask = try document("mask.json")
      let layers = mask["layers"]?.arrayValue ?? []
      let scores = layers.map { ($0["heads"]?["scores"]?.arrayValue ?? []).compactMap(\.doubleValue) }
      let removed = layers.map { ($0["heads"]?["removed"]?.arrayValue ?? []).compactMap(\.intValue) }
      let total = scores.reduce(0) { $0 + $1.count }
      let gone = removed.reduce(0) { $0 + $1.count }
      #expect(total > 0 && gone == total * 34 / 100)
      // Nothing that stays has a lower score than what goes, except where a layer keeps its last head.
      let worst = zip(scores, removed).flatMap { scores, removed in removed.map { scores[$0] } }.max() ?? .infinity
      for (scores, removed) in zip(scores, removed) where removed.count + 1 < scores.count {
        #expect(scores.indices.filter { !removed.contains($0) }.allSatisfy { scores[$0] >= worst })
      }
      let report = try document("compact.json")
      let before = try #require(report["parameters"]?["before"]?.intValue)
      let after = try #require(report["parameters"]?["after"]?.intValue)
      #expect(after < before)
      #expect(try document("verify.json")["equal"] == true && document("verify.json")["bit_identical"] == true)
      for name in ["before.json", "after.json"] { #expect(try document(name)["milliseconds"]?.arrayValue?.count == 2) }
    }

    @Test(
      "every metric makes a mask that compacts to an equal model",
      arguments: ["l1", "l2", "activation", "ablation", "random"])
    func metrics(_ metric: String) throws {
      let place = try Workplace()
      for model in ["gpt2-lm/dense", "llama-grouped/dense"] {
        let outcome = try place.shell(
          """
          set -e
          "$POLLARD" mask '\(golden)/\(model)' m --heads 50% --ffn 30% --neuron-group 4 --importance \(metric) --force
          rm -rf out
          "$POLLARD" compact '\(golden)/\(model)' out --masks m --shape ragged
          "$POLLARD" verify '\(golden)/\(model)' out --masks m
          """)
        #expect(outcome.status == 0, "\(outcome.errors)")
      }
    }
  #endif

  @Test("all heads asked for: one stays in each layer and the report says so; --whole-layers takes it too")
  func wholeLayers() throws {
    let place = try Workplace()
    func removed(_ value: JSONValue) -> [Int] {
      (value["layers"]?.arrayValue ?? []).map {
        ($0["heads"]?["removed"]?.arrayValue?.count ?? 0) - ($0["heads"]?["before"]?.intValue ?? 0)
      }
    }
    let outcome = try place.pollard("mask", bert, "a", "--heads", "100%", "--json")
    let kept = try outcome.json()
    #expect(removed(kept).allSatisfy { $0 == -1 })
    #expect(kept["notes"]?.arrayValue?.contains { $0.stringValue?.contains("--whole-layers") == true } == true)
    let all = try place.pollard("mask", bert, "b", "--heads", "100%", "--whole-layers", "--json").json()
    #expect(removed(all).allSatisfy { $0 == 0 })
    #expect(all["notes"]?.arrayValue?.isEmpty == true)
    let global = try place.pollard("mask", bert, "c", "--heads", "100%", "--scope", "global").output
    #expect(global.contains("one head stays in layer"))
    let grouped = try place.pollard("mask", "\(golden)/llama-grouped/dense", "d", "--heads", "100%").output
    #expect(grouped.contains("one key/value group stays in layers 0-1"))
  }

  @Test("the table shows each layer's heads, removed ones in parentheses")
  func table() throws {
    let place = try Workplace()
    try place.copy("llama-grouped/dense", as: "model")
    let outcome = try place.pollard(
      "mask", "model", "m.safetensors", "--heads", "50%", "--ffn", "30%", "--scores", "s.safetensors", "--slices", "all"
    )
    #expect(outcome.status == 0 && outcome.errors.isEmpty)
    try Snapshot.check(outcome.output, "mask-scores")
    #expect(
      try SafetensorsFile(path: place("s.safetensors")).tensors.map(\.name).sorted() == [
        "ffn_scores", "head_scores", "kv_group_scores",
      ])
  }

  @Test("neurons by leaving out go in runs, 64 unless told otherwise")
  func runs() throws {
    let place = try Workplace()
    let outcome = try place.pollard(
      "mask", bert, "m", "--ffn", "50%", "--importance", "ablation", "--neuron-group", "8", "--batch", "1", "--length",
      "4", "--json")
    #expect(outcome.status == 0)
    let report = try outcome.json()
    for layer in report["layers"]?.arrayValue ?? [] {
      let before = layer["ffn"]?["before"]?.intValue ?? 0
      #expect(layer["ffn"]?["scores"]?["count"]?.intValue == (before + 7) / 8)
      let gone = layer["ffn"]?["removed_count"]?.intValue ?? 0
      #expect(gone > 0 && gone <= before / 2)
    }
    #expect(outcome.errors.contains("leaving out"))
    #expect(report["notes"]?.arrayValue?.contains { $0.stringValue?.contains("random tokens") == true } == true)
  }

  @Test(
    "masks of single weights say that nothing shrinks",
    arguments: [["--sparsity", "50%"], ["--pattern", "2:4"], ["--sparsity", "50%", "--scope", "global"]])
  func weights(_ options: [String]) throws {
    let place = try Workplace()
    let outcome = try place.shell("\"$POLLARD\" mask '\(bert)' m.safetensors \(options.joined(separator: " "))")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("no smaller by itself"))
    #expect(
      try SafetensorsFile(path: place("m.safetensors")).tensors.allSatisfy {
        $0.name.hasSuffix(".weight_mask") && $0.type == .bool
      })
  }

  @Test(
    "requests that contradict themselves are refused with a sentence",
    arguments: [
      ("", "--heads"), ("--heads 1 --importance best", "ablation"), ("--heads 1 --slices some", "--slices"),
      ("--heads 1 --norm l3", "--norm"), ("--heads 1 --inputs x", "--inputs"),
      ("--heads 1 --neuron-group 0", "--neuron-group"),
      ("--heads 1 --sparsity 50%", "single weights"), ("--sparsity 3", "--sparsity"), ("--pattern 4:4", "--pattern"),
      ("--pattern 2:4 --sparsity 50%", "stands alone"), ("--heads 1 --importance ablation --batch 0", "--batch"),
      ("--heads 101%", "--heads"),
    ])
  func refused(_ options: String, _ word: String) throws {
    let place = try Workplace()
    let outcome = try place.shell("\"$POLLARD\" mask '\(bert)' m \(options)")
    #expect(outcome.status == 64, "\(options): \(outcome.errors)")
    #expect(outcome.errors.contains(word), "\(outcome.errors)")
    #expect(!place.exists("m"))
  }
}
