import PollardBase
import Testing

@Suite("--json prints one document whose keys are a contract")
struct DocumentTests {
  private func document(_ place: Workplace, _ command: String, status: Int32 = 0) throws -> JSONValue {
    let outcome = try place.shell("\"$POLLARD\" \(command) --json")
    #expect(outcome.status == status, "\(outcome.errors)")
    #expect(outcome.errors.isEmpty)
    let value = try outcome.json()
    #expect(value.objectValue?.keys.first == "schema")
    #expect(value["schema"]?.intValue == 1)
    checkSpelling(value)
    return value
  }

  private func checkSpelling(_ value: JSONValue) {
    for element in value.arrayValue ?? [] { checkSpelling(element) }
    for member in value.objectValue?.members ?? [] {
      #expect(member.key.wholeMatch(of: /[a-z][a-z0-9]*(_[a-z0-9]+)*/) != nil, "\(member.key)")
      checkSpelling(member.value)
    }
  }

  private func keys(_ value: JSONValue?) -> [String] { value?.objectValue?.keys ?? [] }

  @Test("inspect")
  func inspect() throws {
    let place = try Workplace()
    let value = try document(place, "inspect '\(golden)/llama-grouped/dense'")
    #expect(
      keys(value) == [
        "schema", "format", "architecture", "parameters", "bytes", "layers", "tensors", "tokenizer", "notes",
      ])
    #expect(value["format"]?.stringValue == "safetensors")
    #expect(value["architecture"]?.stringValue == "LlamaForCausalLM")
    #expect(keys(value["layers"]?[0]) == ["index", "heads", "key_value_heads", "head_dim", "ffn"])
    #expect(value["layers"]?[1] == ["index": 1, "heads": 8, "key_value_heads": 4, "head_dim": 8, "ffn": 37])
    #expect(keys(value["tensors"]?[0]) == ["name", "dtype", "shape", "bytes", "file"])
    #expect(
      value["tensors"]?[0]
        == [
          "name": "lm_head.weight", "dtype": "BF16", "shape": [127, 48], "bytes": 12192, "file": "model.safetensors",
        ])
    let sparse = try document(place, "inspect '\(golden)/bert-constant-heads/masked' --sparsity")
    #expect(keys(sparse["sparsity"]?[0]) == ["index", "heads", "ffn"])
    #expect(keys(sparse["sparsity"]?[0]?["heads"]) == ["dead", "constant", "void"])
    #expect(sparse["sparsity"]?[0]?["heads"]?["constant"] == [1])
    #expect(sparse["sparsity"]?[0]?["ffn"]?["constant"] == [3, 17, 30])
  }

  @Test("compact", arguments: ["", "--dry-run"])
  func compact(_ option: String) throws {
    let place = try Workplace()
    let model = "\(golden)/bert-plain/dense"
    let value = try document(
      place, "compact '\(model)' out --masks '\(golden)/bert-plain/masks.safetensors' --shape ragged \(option)")
    #expect(
      keys(value)
        == [
          "schema", "output", "parameters", "bytes", "layers", "dimensions", "units", "contradictions", "loaders",
          "carrier", "copy",
          "dropped_layers", "dead_layers", "dead_parts", "hidden", "left_behind", "notes",
        ])
    #expect(value["output"] == (option.isEmpty ? "out" : .null))
    #expect(value["parameters"] == ["before": 16695, "after": 12849])
    #expect(keys(value["bytes"]) == ["before", "after"])
    #expect(
      value["units"]
        == [
          "requested": 33, "removed": 33, "dead": 0, "declared": 33, "constant": 0, "rescaled": 0, "padded": 0,
          "folded": 0,
        ])
    #expect(keys(value["layers"]?[0]) == ["index", "heads", "key_value_heads", "ffn"])
    #expect(value["layers"]?[2]?["heads"] == ["before": 3, "kept": [1], "padded": [], "constant": [], "folded": []])
    #expect(value["layers"]?[2]?["key_value_heads"] == ["before": 3, "kept": [1]])
    #expect(
      value["layers"]?[2]?["ffn"]
        == ["before": 37, "kept_count": 16, "padded_count": 0, "constant_count": 0, "folded_count": 0])
    let loaders = try #require(value["loaders"]?.arrayValue)
    #expect(
      Set(loaders.compactMap { $0["name"]?.stringValue }) == [
        "transformers-4", "transformers-5", "llama.cpp", "onnxruntime", "vllm",
      ])
    for loader in loaders { #expect(keys(loader) == ["name", "loads", "reason"]) }
    #expect(place.exists("out") == option.isEmpty)
  }

  #if !DEBUG
    @Test("verify, and compact --verify")
    func verify() throws {
      let place = try Workplace()
      let (model, masks) = ("'\(golden)/bert-plain/dense'", "--masks '\(golden)/bert-plain/masks.safetensors'")
      let compacted = try place.shell("\"$POLLARD\" compact \(model) out \(masks) --shape ragged --verify --json")
      #expect(compacted.status == 0)
      #expect(compacted.errors.contains("verifying"))
      let inner = try compacted.json()["verification"]
      let value = try document(place, "verify \(model) out \(masks)")
      for value in [inner, value] {
        #expect(
          keys(value)
            == [
              "schema", "equal", "bit_identical", "max_abs", "max_ulp", "first_difference", "mapping", "structure",
              "proof", "run", "rounded_tensors", "notes",
            ])
      }
      #expect(value["equal"] == true && value["bit_identical"] == true)
      #expect(value["max_abs"]?.doubleValue == 0 && value["max_ulp"] == 0)
      #expect(value["first_difference"] == .null)
      #expect(value["structure"] == ["ok": true, "problems": []])
      #expect(
        keys(value["proof"])
          == [
            "ok", "kept_tensors", "removed_units", "dead", "declared", "constant", "folded", "padded", "unproven",
            "dead_layers", "dropped_layers", "dead_parts", "problems",
          ])
      #expect(value["proof"]?["declared"] == 33 && value["proof"]?["unproven"] == 0)
      #expect(value["proof"]?["kept_tensors"]?.intValue == 55)
      #expect(
        keys(value["run"]) == [
          "ok", "inputs", "precision", "layers", "outputs", "top1_agreement", "divergence", "distance_from_unmasked",
        ])
      #expect(keys(value["run"]?["layers"]?[0]) == ["index", "max_abs", "max_ulp", "differing"])
      #expect(keys(value["run"]?["outputs"]?[0]) == ["name", "max_abs", "max_ulp", "cosine", "sign_differences"])

      let different = try document(place, "verify \(model) out", status: 1)
      #expect(different["equal"] == false)
      #expect(different["proof"]?["unproven"] == 33)
      #expect(different["first_difference"]?.stringValue != nil)
    }

    @Test("verify writes JUnit for both answers")
    func junit() throws {
      let place = try Workplace()
      let (model, masks) = ("'\(golden)/bert-plain/dense'", "--masks '\(golden)/bert-plain/masks.safetensors'")
      _ = try place.shell("\"$POLLARD\" compact \(model) out \(masks) --shape ragged")
      #expect(try place.shell("\"$POLLARD\" verify \(model) out \(masks) --junit ok.xml").status == 0)
      #expect(try place.shell("\"$POLLARD\" verify \(model) out --junit no.xml").status == 1)
      let (ok, no) = (try Workplace.text(place("ok.xml")), try Workplace.text(place("no.xml")))
      #expect(ok.contains(#"tests="3" failures="0" skipped="0""#))
      #expect(no.contains(#"failures="2""#))
      #expect(no.contains("<failure>"))
      #expect(!no.contains("\\u{"))
      #expect(no.contains("layer 0, head 1 is gone but neither dead nor declared off"))
    }
  #endif

  @Test("run, mask and convert")
  func others() throws {
    let place = try Workplace()
    let run = try document(
      place,
      "run '\(golden)/bert-plain/masked' --inputs '\(golden)/bert-plain/inputs.safetensors' --outputs o.safetensors")
    #expect(keys(run) == ["schema", "output", "outputs", "milliseconds", "load_milliseconds", "threads", "precision"])
    let timed = try document(
      place, "run '\(golden)/bert-plain/masked' --inputs '\(golden)/bert-plain/inputs.safetensors' --repeat 2")
    #expect(keys(timed) == keys(run) + ["operators"])
    #expect(timed["operators"]?.arrayValue?.contains { $0["name"]?.stringValue == "MatMul" } == true)
    #expect(
      run["outputs"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["last_hidden_state", "pooler_output"])
    let mask = try document(place, "mask '\(golden)/bert-plain/dense' m.safetensors --heads 1 --ffn 10%")
    #expect(keys(mask) == ["schema", "output", "scores_output", "scoring", "layers", "notes"])
    #expect(keys(mask["layers"]?[0]) == ["index", "heads", "ffn"])
    #expect(mask["layers"]?[0]?["ffn"]?["before"] == 37 && mask["layers"]?[0]?["ffn"]?["removed_count"] == 3)
    let convert = try document(place, "convert '\(golden)/bert-plain/dense' c --type bf16")
    #expect(keys(convert) == ["schema", "output", "bytes", "left_behind", "notes"])
  }
}
