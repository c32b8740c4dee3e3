import PollardBase
import Testing

/// A page of docs/ with what it needs to be walked through on a small model.
private struct Walkthrough: Sendable, CustomTestStringConvertible {
  var page: String
  /// Golden folders and files, by the names that the page gives them.
  var folders: [(golden: String, name: String)]
  var files: [(golden: String, name: String)]
  /// What the small model's reports must say somewhere along the way.
  var saying: [String]

  var testDescription: String { page }

  /// The commands of the page, as a reader types them.
  var commands: [String] {
    get throws {
      let text = try Workplace.text(Paths.join(Paths.parent(golden), "docs/\(page)"))
      return text.split(separator: "\n").filter { $0.hasPrefix("$ pollard ") }.map { String($0.dropFirst(2)) }
    }
  }

  static let all = [
    Walkthrough(
      page: "pruning-heads.md", folders: [("distilbert-plain/dense", "distilbert")],
      files: [("distilbert-plain/inputs.safetensors", "inputs.safetensors")],
      saying: ["root of the sum of squares", "equal: the compacted model is the masked original's function"]),
    Walkthrough(
      page: "uneven-masks.md", folders: [("mask-conventions/textpruner/dense", "xlmr")],
      files: [
        ("mask-conventions/textpruner/mask.pt", "head_ffn_masks/mask.pt"),
        ("mask-conventions/textpruner/inputs.safetensors", "inputs.safetensors"),
      ],
      saying: [
        "XLMRobertaForSequenceClassification", "TextPruner's tuple of head and neuron masks",
        "equal: the compacted model is the masked original's function",
      ]),
  ]
}

@Suite("The walk-throughs in docs/ work as they are written")
struct WalkthroughTests {
  #if !DEBUG
    @Test("every command succeeds, on a small model", arguments: Walkthrough.all)
    private func walk(_ walkthrough: Walkthrough) throws {
      let place = try Workplace()
      for (source, name) in walkthrough.folders { try place.copy(source, as: name) }
      for (source, name) in walkthrough.files {
        if name.contains("/") { try? Directories.create(place(Paths.parent(name))) }
        try place.copyFile(source, as: name)
      }
      let commands = try walkthrough.commands
      #expect(commands.count >= 5)
      var output = ""
      for command in commands {
        let outcome = try place.shell("\"$POLLARD\" " + command.dropFirst("pollard ".count))
        #expect(outcome.status == 0, "\(command): \(outcome.errors)")
        output += outcome.output
      }
      for phrase in walkthrough.saying { #expect(output.contains(phrase), "\(phrase) in \(output)") }
    }
  #endif
}

@Suite("Mask conventions on the command line")
struct MaskConventionCommandTests {
  private let movement = "\(golden)/mask-conventions/movement/model"

  @Test("mask scores need a threshold, and say so")
  func threshold() throws {
    let place = try Workplace()
    let refused = try place.pollard("compact", movement, "out")
    #expect(refused.status == 2)
    #expect(refused.errors.contains("mask scores decide nothing without a threshold"))
    #expect(refused.errors.contains("give --threshold, which is the fraction of the weights that is kept"))
    let outcome = try place.pollard("compact", movement, "out", "--threshold", "0.55", "--shape", "ragged")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("note: 12 matrices of movement pruning's mask_scores, read multiplied out"))
    let inspected = try place.pollard("inspect", movement)
    #expect(inspected.status == 0)
    #expect(inspected.output.contains("which weights go is decided by --threshold"))
    let unknown = try place.pollard("compact", movement, "o2", "--threshold", "1", "--threshold-rule", "best")
    #expect(unknown.status == 64)
    let plain = try place.pollard("inspect", "\(golden)/bert-plain/dense", "--threshold", "0.5")
    #expect(plain.status == 2)
    #expect(plain.errors.contains("expected a checkpoint with mask_scores"))
  }

  #if !DEBUG
    @Test("mask scores: compact, verify, run and convert under the same options")
    func verbs() throws {
      let place = try Workplace()
      let rule = ["--threshold", "0.6", "--threshold-rule", "sigmoid"].joined(separator: " ")
      for command in [
        "compact '\(movement)' small \(rule) --verify", "verify '\(movement)' small \(rule)",
        "convert '\(movement)' plain \(rule)", "inspect '\(movement)' --sparsity \(rule)",
        "mask '\(movement)' m.safetensors --heads 1 \(rule)",
        "run '\(movement)' --inputs '\(golden)/mask-conventions/movement/inputs.safetensors' --outputs a.safetensors \(rule)",
        "run plain --inputs '\(golden)/mask-conventions/movement/inputs.safetensors' --outputs b.safetensors",
      ] {
        let outcome = try place.shell("\"$POLLARD\" " + command)
        #expect(outcome.status == 0, "\(command): \(outcome.errors)")
      }
      #expect(try place.bytes("a.safetensors") == place.bytes("b.safetensors"))
      #expect(try place.shell("\"$POLLARD\" verify '\(movement)' small --threshold 0.5").status == 1)
    }
  #endif

  @Test("a mask whose meaning is turned round is refused")
  func polarity() throws {
    let place = try Workplace()
    let neurons = (0..<37).filter { $0 != 3 }.map(String.init).joined(separator: ",")
    let text = "{\"remove\": {\"ffn\": {\"0\": [\(neurons)], \"1\": [\(neurons)], \"2\": [\(neurons)]}}}"
    try place.write("m.json", Array(text.utf8))
    let outcome = try place.pollard("compact", "\(golden)/bert-plain/dense", "out", "--masks", "m.json")
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("turn the mask round if 1 means remove in it"))
    #expect(!place.exists("out"))
  }
}
