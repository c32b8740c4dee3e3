import GraphCompaction
import ModelVerification
import Pollard
import PollardBase
import TensorStorage
import Testing

#if !DEBUG
  /// A checkpoint of `golden/width/`, a quarter of whose hidden channels nothing writes.
  struct WidthCase: Sendable, CustomTestStringConvertible {
    let entry: JSONValue

    var name: String { entry["name"]?.stringValue ?? "" }
    var testDescription: String { name }
    var removed: [Int] { (entry["removed"]?.arrayValue ?? []).compactMap(\.intValue) }
    var rewrite: String { entry["rewrite"]?.stringValue ?? "" }
    func callAsFunction(_ part: String) -> String { "\(golden)/width/\(name)/\(part)" }

    static let all: [WidthCase] =
      ((try? Files.json("\(golden)/width/manifest.json"))?["cases"]?.arrayValue ?? []).map(WidthCase.init)
    static func named(_ name: String) throws -> WidthCase { try #require(all.first { $0.name == name }) }

    /// A mask file that removes the case's channels, and what else stands in it.
    func mask(_ folder: TemporaryFolder, _ more: String = "") throws -> MaskSource {
      try folder.write("masks.json", #"{"remove": {"hidden": \#(removed)}\#(more)}"#)
      return .file(folder("masks.json"))
    }

    /// Narrows and writes; nothing is believed yet.
    @discardableResult
    func compact(
      _ part: String, masks: MaskSource = .zeros, _ options: WidthOptions = WidthOptions(), to output: String,
      verifying: Bool = false
    ) throws -> CompactionReport {
      let narrow = try Model(at: self(part)).narrowed(masks: masks, options: options, pool: pool)
      var writing = WriteOptions()
      writing.verifies = verifying
      return try narrow.compact(
        narrow.plan(masks: masks, pool: pool), to: output, options: writing, pool: pool, masks: masks)
    }

    func verify(_ output: String, _ part: String = "masked", masks: MaskSource? = nil, _ norm: HiddenNorm? = nil) throws
      -> Verification
    {
      var options = VerificationOptions(length: 7)
      options.hiddenNorm = norm
      return try Pollard.verify(original: self(part), compacted: output, masks: masks, options: options, pool: pool)
    }

    /// The masked model's tensors without the channels, and nothing made up for.
    func writePlainCut(to path: String) throws {
      let small = try Tensors.stored(self("compact.safetensors"))
      let kept = Set(0..<16).subtracting(removed).sorted()
      var list: [(name: String, type: ElementType, shape: [Int], bytes: [UInt8])] = []
      for (name, tensor) in try Tensors.stored(self("masked")).sorted(by: { $0.key < $1.key }) {
        guard tensor.type == "F32", let wanted = small[name]?.shape else { continue }
        var weight = Weight.literal(bytes: tensor.bytes, type: .f32, shape: Shape(tensor.shape))
        for (axis, extent) in wanted.enumerated() where extent != tensor.shape[axis] {
          weight = weight.keeping(kept, axis: axis)
        }
        list.append((name, .f32, wanted, try weight.bytes()))
      }
      try Tensors.write(list, to: path)
    }

    /// Where the script's own rules and the folder hold different tensors.
    func differences(_ output: String) throws -> [String] {
      let expected = try Tensors.stored(self("compact.safetensors"))
      let found = try Tensors.stored(output)
      return Set(expected.keys).union(found.keys).sorted().filter {
        expected[$0]?.bytes != found[$0]?.bytes || expected[$0]?.shape != found[$0]?.shape
      }
    }
  }

  @Suite("Hidden channels of models with RMS norms are removed, and the norms make up for it")
  struct WidthTests {
    @Test("there are cases of every family and rewrite")
    func complete() {
      #expect(WidthCase.all.count == 14)
      #expect(Set(WidthCase.all.map(\.rewrite)) == ["norms", "writers"])
    }

    @Test(
      "every tensor and the configuration are what the derivation gives, from zeros and from a mask",
      arguments: WidthCase.all)
    func tensors(_ width: WidthCase) throws {
      let folder = try TemporaryFolder()
      let report = try width.compact("masked", to: folder("zeros"), verifying: true)
      #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
      #expect(try width.differences(folder("zeros")) == [])
      let config = try Files.json(folder("zeros") + "/config.json")
      for (key, value) in width.entry["config"]?.objectValue?.members.map({ ($0.key, $0.value) }) ?? [] {
        #expect(config[key]?.doubleValue == value.doubleValue, "\(key)")
      }
      let plan = try #require(report.width)
      #expect(plan.units.removed.map(\.index) == width.removed)
      #expect(plan.units.removed.allSatisfy { $0.reason == .dead && $0.rule == "R1" })
      #expect(plan.rewrite.rawValue == width.rewrite)
      #expect(report.json["hidden"]?["class"]?.stringValue == "rescaled")
      #expect(report.parameters.before > report.parameters.after)

      let masks = try width.mask(folder)
      let masked = try width.compact("dense", masks: masks, to: folder("mask"), verifying: true)
      #expect(masked.verification?.equal == true, "\(masked.verification?.text ?? "")")
      #expect(try width.differences(folder("mask")) == [])
      #expect(masked.width?.units.removed.allSatisfy { $0.reason == .declared && $0.rule == "R5" } == true)
      #expect(try width.verify(folder("mask"), "dense", masks: masks).equal)
      // The verifier believes no receipt: without its own mask live channels are missing.
      let unmasked = try width.verify(folder("mask"), "dense")
      #expect(!unmasked.equal && unmasked.report.proof?.unproven == width.removed.count)
    }

    @Test("outputs are torch's of the masked original in double precision", arguments: WidthCase.all)
    func outputs(_ width: WidthCase) throws {
      let folder = try TemporaryFolder()
      try width.compact("masked", to: folder("small"))
      try Model(at: folder("small")).run(
        inputs: width("inputs.safetensors"), outputs: folder("out.safetensors"), precision: .double, pool: pool)
      let found = try Tensors.doubles(folder("out.safetensors"))
      let given = try Tensors.doubles(width("inputs.safetensors"))
      let share =
        width.entry["type"]?.stringValue == "float32"
        ? Tolerances.rescaledAgainstTorch.share : Tolerances.rescaledHalf.share
      let kept = Set(0..<16).subtracting(width.removed).sorted()
      for (name, reference) in try Tensors.doubles(width("expected.safetensors")) {
        let isDecoder = given["decoder_attention_mask"] != nil && !name.hasPrefix("encoder_")
        let valid = try #require(given[isDecoder ? "decoder_attention_mask" : "attention_mask"]).values
        let result = try #require(found[name], "\(name)")
        let extent = try #require(reference.extents.last)
        let channels = result.extents.last == extent ? Array(0..<extent) : kept
        #expect(result.extents.last == channels.count)
        let scale = reference.values.map(abs).max() ?? 0
        var gap = 0.0
        for row in valid.indices where valid[row] != 0 {
          for (place, channel) in channels.enumerated() {
            gap = max(
              gap, abs(result.values[row * channels.count + place] - reference.values[row * extent + channel]))
          }
        }
        #expect(gap <= share * scale, "\(name): \(gap) of \(scale)")
      }
    }

    @Test(
      "without the compensation a model is not equal, and neither is one whose epsilon was left alone",
      arguments: ["llama", "qwen3-tied", "gemma2", "t5"])
    func uncompensated(_ name: String) throws {
      let width = try WidthCase.named(name)
      let folder = try TemporaryFolder()
      try width.compact("masked", to: folder("small"))
      // The same folder with the tensors as they are, only without the channels.
      let plain = try folder.copy(folder("small"), as: "plain")
      try width.writePlainCut(to: plain + "/model.safetensors")
      let verification = try width.verify(folder("plain"))
      #expect(!verification.equal)
      #expect(verification.report.proof?.ok == false)
      let run = try #require(verification.report.run)
      #expect(!run.ok)
      let worst = run.comparison.values.map { $0.maximumReference > 0 ? $0.maximumAbsolute / $0.maximumReference : 0 }
        .max()
      #expect((worst ?? 0) > 1e-2, "far beyond the tolerance: \(worst ?? 0)")

      let key = name.hasPrefix("t5") ? "layer_norm_epsilon" : "rms_norm_eps"
      try Files.set(
        key, to: name == "qwen3-tied" || name == "gemma2" ? 0.02 : 0.01, in: folder("small") + "/config.json")
      #expect(try !width.verify(folder("small")).equal)
    }

    @Test(
      "one number other than zero in any writer keeps the channel",
      arguments: [
        ("llama-biases", "model.layers.1.mlp.down_proj.bias", 1),
        ("llama-biases", "model.layers.0.self_attn.o_proj.bias", 1),
        ("llama-biases", "model.embed_tokens.weight", 16), ("llama-biases", "model.layers.1.mlp.down_proj.weight", 20),
        ("llama-biases", "model.layers.0.self_attn.o_proj.weight", 16),
      ])
    func live(_ name: String, _ tensor: String, _ columns: Int) throws {
      let width = try WidthCase.named(name)
      let folder = try TemporaryFolder()
      let original = try folder.copy(width("masked"), as: "masked")
      let channel = width.removed[1]
      // Embeddings carry the channel along columns, the others along rows; a bfloat16 has two bytes.
      let element = tensor.contains("embed") ? 5 * 16 + channel : channel * columns
      // The smallest subnormal number: what counts is that it is not zero.
      try Tensors.change(tensor, in: original) { bytes in bytes[bytes.startIndex + 2 * element] = 1 }
      let narrow = try Model(at: original).narrowed(pool: pool)
      let report = try narrow.preview(narrow.plan(pool: pool))
      #expect(report.width?.units.kept.contains(channel) == true)
      #expect(report.width?.units.removed.contains { $0.index == channel } == false)

      // A model without the channel is not proved any more.
      try width.compact("masked", to: folder("small"))
      let verification = try Pollard.verify(original: original, compacted: folder("small"), pool: pool)
      #expect(!verification.equal && verification.report.proof?.unproven == 1, "\(verification.text)")
    }

    @Test("a channel that is only not read stays: norms count it")
    func unread() throws {
      let width = try WidthCase.named("llama")
      let folder = try TemporaryFolder()
      let original = try folder.copy(width("dense"), as: "dense")
      for (name, tensor) in try Tensors.stored(original) where name.hasSuffix("norm.weight") {
        try Tensors.change(name, in: original) { bytes in
          for byte in 0..<4 { bytes[bytes.startIndex + 4 * width.removed[0] + byte] = 0 }
        }
        #expect(tensor.shape == [16])
      }
      let narrow = try Model(at: original).narrowed(pool: pool)
      #expect(try narrow.preview(narrow.plan(pool: pool)).width?.units.removed == [])
    }

    @Test("channels stay as fill where loaders or --round-to want a multiple", arguments: ["llama", "qwen3"])
    func rounded(_ name: String) throws {
      let width = try WidthCase.named(name)
      let folder = try TemporaryFolder()
      let eight = try width.compact("masked", WidthOptions(roundTo: 8), to: folder("eight"))
      #expect(eight.width?.units.after == 16 && eight.width?.units.padded == width.removed)
      #expect(eight.isCopy, "nothing goes, so nothing is multiplied")
      // Two of four channels come back: of 14 channels four heads of Llama are no divisor in transformers 5.
      try folder.write("masks.json", #"{"remove": {"hidden": \#(Array(width.removed.prefix(2)))}}"#)
      let masks = MaskSource.file(folder("masks.json"))
      let report = try width.compact("dense", masks: masks, to: folder("two"))
      #expect(report.width?.units.after == (name == "llama" ? 16 : 14))
      #expect(report.width?.units.padded == (name == "llama" ? Array(width.removed.prefix(2)) : []))
      #expect(try width.verify(folder("two"), "dense", masks: masks).equal)
      let older = try width.compact("dense", masks: masks, WidthOptions(loader: "transformers-4"), to: folder("older"))
      #expect(older.width?.units.after == 14)
      #expect(try width.verify(folder("older"), "dense", masks: masks).equal)
      #expect(
        codeThrown {
          try width.compact("masked", WidthOptions(roundTo: 8, allowsPadding: false), to: folder("none"))
        } == "paddingNeeded")
    }

    @Test("norms over the kept channels are not compensated, and the verifier must be told")
    func kept() throws {
      let width = try WidthCase.named("llama")
      let folder = try TemporaryFolder()
      let masks = try width.mask(folder, #", "hidden_norm": "kept""#)
      let report = try width.compact("dense", masks: masks, to: folder("small"), verifying: true)
      #expect(report.verification?.equal == true && report.verification?.bitIdentical == true)
      #expect(report.width?.rewrite == WidthRewriteKind.none && report.width?.norm == .kept)
      let dense = try Tensors.stored(width("dense"))
      let norm = try #require(try Tensors.stored(folder("small"))["model.norm.weight"])
      let kept = try #require(report.width?.units.kept)
      let whole = try #require(dense["model.norm.weight"]).bytes
      var cut: [UInt8] = []
      for channel in kept {
        let start = channel * 4
        cut += whole[start..<start + 4]
      }
      #expect(norm.bytes == cut)
      let plain = try width.mask(folder)
      #expect(try !width.verify(folder("small"), "dense", masks: plain).equal)
      #expect(try width.verify(folder("small"), "dense", masks: plain, .kept).equal)
      // Numbers that follow from the width leave open what is meant.
      let gemma = try WidthCase.named("gemma")
      #expect(
        codeThrown { try gemma.compact("masked", WidthOptions(norm: .kept), to: folder("gemma")) } == "widthPinned")
    }

    @Test("heads and neurons go at the same time", arguments: ["llama", "qwen3", "gemma3"])
    func together(_ name: String) throws {
      let width = try WidthCase.named(name)
      let folder = try TemporaryFolder()
      try folder.write(
        "masks.json",
        #"{"remove": {"hidden": \#(width.removed), "ffn": {"0": [1, 5, 19], "1": [0, 2, 3]}, "kv_groups": {"0": [1], "1": [0]}}}"#
      )
      let masks = MaskSource.file(folder("masks.json"))
      let report = try width.compact("dense", masks: masks, to: folder("small"), verifying: true)
      #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
      #expect(report.layers.allSatisfy { $0.heads == 2 && $0.feedForward == 17 })
      #expect(report.width?.units.after == 12)
    }

    @Test("a narrowed model becomes ONNX and GGUF, within the tolerance of the formats")
    func converted() throws {
      let width = try WidthCase.named("qwen3")
      let folder = try TemporaryFolder()
      let narrow = try Model(at: width("masked")).narrowed(pool: pool)
      for (format, name) in [(ModelFormat.onnx, "small.onnx"), (.gguf, "small.gguf")] {
        try narrow.compact(
          narrow.plan(options: PlanOptions(format: format), pool: pool), to: folder(name),
          options: WriteOptions(format: format), pool: pool)
        let verification = try width.verify(folder(name))
        #expect(verification.equal, "\(name): \(verification.text)")
      }
    }

    @Test("GGUF files are narrowed as they are", arguments: ["llama", "llama-biases", "qwen3-tied", "gemma"])
    func gguf(_ name: String) throws {
      let width = try WidthCase.named(name)
      let folder = try TemporaryFolder()
      let source = folder("masked.gguf")
      try Model(at: width("masked")).convert(to: source, type: nil, options: WriteOptions(format: .gguf), pool: pool)
      let narrow = try Model(at: source).narrowed(pool: pool)
      var writing = WriteOptions()
      writing.verifies = true
      let report = try narrow.compact(narrow.plan(pool: pool), to: folder("small.gguf"), options: writing, pool: pool)
      #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
      #expect(report.width?.units.after == 12)
      // The same as narrowing first and converting then.
      try width.compact("masked", to: folder("small"))
      let verification = try Pollard.verify(original: folder("small"), compacted: folder("small.gguf"), pool: pool)
      #expect(verification.report.run?.ok == true, "\(verification.text)")
    }

    @Test(
      "models whose channels cannot go are refused, with what holds them",
      arguments: [
        ("bert-plain/masked", "widthPinned"), ("gpt2-lm/masked", "widthPinned"), ("stablelm/masked", "widthPinned"),
        ("onnx/bert-ts17-eager/dense.onnx", "optionDoesNotApply"),
      ])
    func refused(_ path: String, _ code: String) throws {
      let model = try Model(at: "\(golden)/\(path)")
      #expect(codeThrown { _ = try model.narrowed(pool: pool) } == code)
    }

    @Test("packed numbers are refused: a channel is a part of a block")
    func packed() throws {
      let folder = try TemporaryFolder()
      try folder.write("masks.json", #"{"remove": {"hidden": [0]}}"#)
      let model = try Model(at: "\(golden)/gguf/tiny-q8_0.gguf")
      #expect(codeThrown { _ = try model.narrowed(masks: .file(folder("masks.json")), pool: pool) } == "notExpressible")
    }

    @Test("a mask of channels is refused where nobody asked for it, where it does not fit, and where it multiplies")
    func masks() throws {
      let width = try WidthCase.named("llama")
      let folder = try TemporaryFolder()
      let model = try Model(at: width("dense"))
      let masks = try width.mask(folder)
      #expect(codeThrown { _ = try model.plan(masks: masks, pool: pool) } == "widthNotAsked")
      func code(_ text: String) throws -> String? {
        try folder.write("m.json", text)
        return codeThrown { _ = try model.narrowed(masks: .file(folder("m.json")), pool: pool) }
      }
      #expect(try code(#"{"remove": {"hidden": [16]}}"#) == "maskIndex")
      #expect(try code(#"{"remove": {"hidden": {"0": [1]}}}"#) == "unknownMask")
      #expect(try code(#"{"remove": {"hidden": [1]}, "hidden_norm": "some"}"#) == "unknownMask")
      func array(_ values: [Float]) throws -> String? {
        let bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } }
        try Tensors.write([("hidden_mask", .f32, [values.count], bytes)], to: folder("m.safetensors"))
        return codeThrown { _ = try model.narrowed(masks: .file(folder("m.safetensors")), pool: pool) }
      }
      #expect(try array(Array(repeating: 1, count: 15)) == "maskShape")
      #expect(try array([0.5] + Array(repeating: 1, count: 15)) == "maskValue")
      #expect(try array([0] + Array(repeating: 1, count: 15)) == nil)
    }

    @Test("a weight that is not finite keeps a dead channel from going, and a declared one from being accepted")
    func notFinite() throws {
      let width = try WidthCase.named("llama")
      let folder = try TemporaryFolder()
      let original = try folder.copy(width("masked"), as: "masked")
      let channel = width.removed[2]
      try Tensors.change("model.layers.0.self_attn.q_proj.weight", in: original) { bytes in
        let place = bytes.startIndex + 4 * channel
        (bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]) = (0, 0, 0xC0, 0x7F)
      }
      let narrow = try Model(at: original).narrowed(options: WidthOptions(loader: "transformers-4"), pool: pool)
      let plan = try #require(try narrow.preview(narrow.plan(pool: pool)).width)
      #expect(plan.units.void == [channel] && plan.units.kept.contains(channel))
      let masks = try width.mask(folder)
      #expect(codeThrown { _ = try Model(at: original).narrowed(masks: masks, pool: pool) } == "notFinite")
    }

    @Test("one flipped bit in any tensor is found", arguments: ["llama-biases", "gemma2-bf16", "t5-untied"])
    func tampered(_ name: String) throws {
      let width = try WidthCase.named(name)
      let folder = try TemporaryFolder()
      try width.compact("masked", to: folder("small"))
      #expect(try width.verify(folder("small")).equal)
      for (number, tensor) in try Tensors.stored(folder("small")).keys.sorted().enumerated() where number % 5 == 0 {
        try Tensors.flipBit(ofByte: 0, of: tensor, in: folder("small"))
        let verification = try width.verify(folder("small"))
        #expect(!verification.equal && verification.report.proof?.ok == false, "\(tensor)")
        try Tensors.flipBit(ofByte: 0, of: tensor, in: folder("small"))
      }
    }

    @Test("every row of the tolerances has a type of its own and a reason")
    func tolerances() {
      let rows = FormatTolerance.rescaled
      #expect(Set(rows.map(\.type)).count == rows.count && rows.allSatisfy { !$0.reason.isEmpty && $0.share > 0 })
      #expect(FormatTolerance.rescaledRow(for: [.f32, .bf16]).type == .bf16)
    }
  }
#endif
