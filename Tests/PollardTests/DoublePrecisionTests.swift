import Pollard
import PollardBase
import Testing

#if !DEBUG
  private let fixtures =
    ((try? Directories.names(in: golden + "/onnx")) ?? []).filter {
      Directories.kind(of: golden + "/onnx/\($0)/masked.onnx") == .file
    }.sorted()

  @Suite("Double precision")
  struct DoublePrecisionTests {
    private let options = VerificationOptions(precision: .double)

    @Test("a compacted checkpoint is the masked one's function there too, to the bit", arguments: Scenario.compacting)
    func checkpoints(_ scenario: Scenario) throws {
      let folder = try TemporaryFolder()
      _ = try scenario.compact(to: folder("compacted"))
      let verification = try scenario.verify(folder("compacted"), options: options)
      #expect(verification.equal, "\(verification.text)")
      #expect(verification.bitIdentical == true)
      #expect(verification.json["run"]?["precision"]?.stringValue == "f64")
      #expect(verification.text.contains("in double precision"))
    }

    @Test("a compacted ONNX file is", arguments: fixtures)
    func files(_ name: String) throws {
      let folder = try TemporaryFolder()
      let model = try Model(at: golden + "/onnx/\(name)/masked.onnx")
      _ = try model.compact(model.plan(pool: pool), to: folder("small.onnx"), pool: pool)
      let verdict = try verify(original: model.path, compacted: folder("small.onnx"), options: options, pool: pool)
      #expect(verdict.equal && verdict.bitIdentical == true, "\(verdict.text)")
    }

    @Test(
      "a GGUF file is the checkpoint's function within the tolerance of its type", arguments: ["f16", "q8_0", "q4_0"])
    func packed(_ type: String) throws {
      let verdict = try verify(
        original: golden + "/gguf/tiny", compacted: golden + "/gguf/tiny-\(type).gguf", options: options, pool: pool)
      #expect(verdict.equal, "\(verdict.text)")
    }

    @Test(
      "a converted checkpoint agrees far below single precision", arguments: ["bert-plain", "llama-grouped", "gpt2-lm"])
    func converted(_ name: String) throws {
      let folder = try TemporaryFolder()
      let source = golden + "/\(name)/masked"
      try Model(at: source).convert(
        to: folder("whole.onnx"), type: nil, options: WriteOptions(format: .onnx), pool: pool)
      let verdict = try verify(original: source, compacted: folder("whole.onnx"), options: options, pool: pool)
      #expect(verdict.equal, "\(verdict.text)")
    }

    @Test("a changed weight shows", arguments: ["bert-plain"])
    func changed(_ name: String) throws {
      let folder = try TemporaryFolder()
      let scenario = Scenario(golden: try GoldenCase.named(name), origin: .masks)
      _ = try scenario.compact(to: folder("compacted"))
      var bytes = try Files.bytes(folder("compacted/model.safetensors"))
      bytes[bytes.count - 1] ^= 1
      try Files.write(folder("compacted/model.safetensors"), bytes)
      let verification = try scenario.verify(folder("compacted"), options: options)
      #expect(!verification.equal)
    }

    @Test(
      "outputs are doubles, and torch's but for constants that one of both rounds",
      arguments: GoldenCase.all.filter { $0.path("expected") != nil && $0.path("masked") != nil })
    func agrees(_ test: GoldenCase) throws {
      let folder = try TemporaryFolder()
      let inputs = try #require(test.path("inputs"))
      try Model(at: #require(test.path("masked"))).run(
        inputs: inputs, outputs: folder("out.safetensors"), precision: .double, pool: pool)
      let results = try Tensors.doubles(folder("out.safetensors"))
      let stored = try Tensors.stored(folder("out.safetensors"))
      let expected = try Tensors.doubles(#require(test.path("expected")))
      let given = try Tensors.doubles(inputs)
      for (name, result) in results {
        #expect(stored[name]?.type == "F64", "\(name)")
        guard let reference = expected[name] else { continue }
        let isDecoder = given["decoder_attention_mask"] != nil && !name.hasPrefix("encoder_")
        let valid = try #require(given[isDecoder ? "decoder_attention_mask" : "attention_mask"]).values
        let width = test.isPerToken(name) ? reference.values.count / valid.count : 0
        let places = reference.values.indices.filter { width == 0 || valid[$0 / width] != 0 }
        let scale = places.map { abs(reference.values[$0]) }.max() ?? 0
        let gap = places.map { abs(result.values[$0] - reference.values[$0]) }.reduce(0) {
          $1.isNaN ? .infinity : max($0, $1)
        }
        #expect(gap <= Tolerances.doubleAgainstTorch.share * scale, "\(name): \(gap) of \(scale)")
      }
    }
  }
#endif
