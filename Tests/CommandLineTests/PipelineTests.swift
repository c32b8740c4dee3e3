import CheckpointFormats
import PollardBase
import Testing

@Suite("Verbs one after the other")
struct PipelineTests {
  #if !DEBUG
    @Test(
      "mask, compact, verify: equal, whatever made the mask",
      arguments: [
        ("bert-plain", "--heads 1 --ffn 30%"), ("bert-plain", "--heads 34% --importance l1 --scope global"),
        ("gpt2-lm", "--heads 34% --ffn 25% --importance random --seed 3"), ("llama-grouped", "--heads 25% --ffn 30%"),
        ("qwen2", "--ffn 10 --heads 50% --scope global"),
        ("distilbert-plain", "--ffn 50% --importance random --seed 9 --scope global"),
        ("llama-sharded", "--heads 50% --ffn 50% --importance l1"), ("bert-prefixed-base", "--ffn 1"),
      ], ["auto", "ragged", "uniform"])
    func pipeline(_ made: (name: String, options: String), _ shape: String) throws {
      let place = try Workplace()
      let model = "'\(golden)/\(made.name)/dense'"
      let outcome = try place.shell(
        """
        set -e
        "$POLLARD" mask \(model) m.safetensors \(made.options)
        "$POLLARD" compact \(model) out --masks m.safetensors --shape \(shape)
        "$POLLARD" verify \(model) out --masks m.safetensors --batch 1 --length 7 --seed 5 --json > verdict.json
        """)
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(outcome.errors.isEmpty)
      let verdict = try JSONValue(parsing: place.bytes("verdict.json"))
      #expect(verdict["equal"] == true && verdict["bit_identical"] == true)
      if shape == "ragged" { #expect((verdict["proof"]?["removed_units"]?.intValue ?? 0) > 0) }
    }
  #endif

  @Test("every instruction set gives the same file, in single and in double precision")
  func instructionSets() throws {
    let place = try Workplace()
    let outcome = try place.shell(
      """
      set -e
      run() { "$POLLARD" run '\(golden)/gpt2-plain/masked' --inputs '\(golden)/gpt2-plain/inputs.safetensors' "$@" > /dev/null; }
      for precision in f32 f64; do
        run --precision $precision --outputs $precision
        POLLARD_INSTRUCTION_SET=portable run --precision $precision --outputs portable-$precision
        cmp $precision portable-$precision
      done
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let (single, double) = (try place.bytes("f32"), try place.bytes("f64"))
    #expect(double.count > single.count * 3 / 2)
  }

  @Test("a seed gives the same mask, another seed another")
  func seeds() throws {
    let place = try Workplace()
    for (output, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
      let outcome = try place.pollard(
        "mask", "\(golden)/bert-masked-lm/dense", output, "--heads", "1", "--ffn", "40%", "--importance", "random",
        "--seed", seed)
      #expect(outcome.status == 0)
    }
    #expect(try place.bytes("a") == place.bytes("b"))
    #expect(try place.bytes("a") != place.bytes("c"))
  }

  @Test("the amounts asked for are the amounts removed, per layer or over the model")
  func amounts() throws {
    let place = try Workplace()
    let model = "\(golden)/bert-masked-lm/dense"
    let layer = try place.pollard("mask", model, "layer", "--ffn", "40%", "--json").json()
    let global = try place.pollard("mask", model, "global", "--ffn", "40%", "--scope", "global", "--json").json()
    func removed(_ value: JSONValue) -> [Int] {
      (value["layers"]?.arrayValue ?? []).compactMap { $0["ffn"]?["removed_count"]?.intValue }
    }
    let width = try #require(layer["layers"]?[0]?["ffn"]?["before"]?.intValue)
    let layers = removed(layer).count
    #expect(removed(layer) == Array(repeating: width * 4 / 10, count: layers))
    #expect(removed(global).reduce(0, +) == width * layers * 4 / 10)
  }

  @Test("run writes outputs, and with --all-layers every hidden state")
  func run() throws {
    let place = try Workplace()
    let arguments = ["run", "\(golden)/llama-grouped/masked", "--inputs", "\(golden)/llama-grouped/inputs.safetensors"]
    func names(_ options: String, _ output: String) throws -> [String] {
      let outcome = try place.shell(
        "\"$POLLARD\" \(arguments.map { "'\($0)'" }.joined(separator: " ")) --outputs \(output) \(options)")
      #expect(outcome.status == 0, "\(outcome.errors)")
      return try SafetensorsFile(path: place(output)).tensors.map(\.name).sorted()
    }
    #expect(try names("", "plain.safetensors") == ["logits"])
    #expect(
      try names("--all-layers", "all.safetensors") == [
        "hidden_states.0", "hidden_states.1", "hidden_states.2", "logits",
      ])
    #expect(try names("--threads 1 --repeat 2 --force", "all.safetensors") == ["logits"])
    #expect(try place.bytes("plain.safetensors") == place.bytes("all.safetensors"))
  }

  @Test("an input that cannot be derived is asked for by name")
  func missingInput() throws {
    let place = try Workplace()
    let layout = try SafetensorsLayout(
      [TensorDeclaration(name: "attention_mask", type: .i64, shape: [1, 1])], metadata: nil)
    try place.write("i.safetensors", layout.header + [1, 0, 0, 0, 0, 0, 0, 0])
    let outcome = try place.pollard(
      "run", "\(golden)/bert-plain/masked", "--inputs", "i.safetensors", "--outputs", "o.safetensors")
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("input_ids"))
    #expect(!place.exists("o.safetensors"))
  }

  @Test("a token outside the vocabulary is an error, not a crash")
  func badToken() throws {
    let place = try Workplace()
    let layout = try SafetensorsLayout(
      [TensorDeclaration(name: "input_ids", type: .i64, shape: [1, 1])], metadata: nil)
    try place.write("i.safetensors", layout.header + [255, 255, 0, 0, 0, 0, 0, 0])
    let outcome = try place.pollard(
      "run", "\(golden)/bert-plain/masked", "--inputs", "i.safetensors", "--outputs", "o.safetensors")
    #expect(outcome.status == 2, "\(outcome.errors)")
    #expect(!place.exists("o.safetensors"))
  }

  @Test("the graph is printed, operator by operator")
  func graph() throws {
    let outcome = try Workplace().pollard("inspect", "\(golden)/llama-grouped/dense", "--graph")
    #expect(outcome.status == 0)
    for word in [
      "Attention", "RotaryEmbedding", "RMSNormalization", "MatMul", "input_ids", "logits",
      "model.layers.1.mlp.down_proj.weight",
    ] {
      #expect(outcome.output.contains(word), "\(word)")
    }
  }

  @Test("--quiet leaves results and takes the talk")
  func quiet() throws {
    let place = try Workplace()
    let model = "\(golden)/bert-plain/masked"
    let loud = try place.pollard("compact", model, "a", "--verify")
    let quiet = try place.pollard("compact", model, "b", "--verify", "--quiet")
    #expect(loud.status == 0 && quiet.status == 0)
    #expect(loud.errors.contains("verifying"))
    #expect(quiet.errors.isEmpty)
    #expect(loud.output.replacing("wrote a", with: "wrote b") == quiet.output)
  }

  @Test("no colour where there is no terminal")
  func colour() throws {
    let outcome = try Workplace().pollard("inspect", "\(golden)/bert-plain/masked")
    #expect(!outcome.output.contains("\u{1b}"))
  }

  @Test("a folder without configuration is inspected as far as its headers go")
  func headersOnly() throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    try Directories.remove(place("model/config.json"))
    let outcome = try place.pollard("inspect", "model", "--json")
    #expect(outcome.status == 0)
    #expect(try outcome.json()["architecture"] == .null)
    #expect(try outcome.json()["notes"]?.arrayValue?.isEmpty == false)
    #expect(try place.pollard("compact", "model", "out").status == 2)
  }

  @Test("an unknown model type is refused by name with the list of known ones")
  func unknownType() throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    let text = try Workplace.text(place("model/config.json")).replacing(
      "\"model_type\": \"bert\"", with: "\"model_type\": \"berta\"")
    try place.write("model/config.json", Array(text.utf8))
    let outcome = try place.pollard("compact", "model", "out")
    #expect(outcome.status == 2)
    for word in ["berta", "bert", "distilbert", "gpt2", "llama", "mistral", "qwen2", "qwen3", "roberta"] {
      #expect(outcome.errors.contains(word))
    }
  }
}
