import PollardBase
import Testing

@Suite("Texts are as they were recorded")
struct SnapshotTests {
  @Test("help", arguments: ["", "inspect", "mask", "compact", "verify", "run", "convert", "diff"])
  func help(_ verb: String) throws {
    let place = try Workplace()
    let outcome = try verb.isEmpty ? place.pollard("--help") : place.pollard(verb, "--help")
    #expect(outcome.status == 0)
    #expect(outcome.errors.isEmpty)
    try Snapshot.check(outcome.output, verb.isEmpty ? "help" : "help-\(verb)")
  }

  @Test(
    "inspect",
    arguments: [
      ("bert-plain/masked", [], "inspect"), ("llama-grouped/dense", ["--tensors"], "inspect-tensors"),
      ("bert-constant-heads/masked", ["--sparsity"], "inspect-sparsity"),
      ("llama-sharded/dense", [], "inspect-sharded"),
      ("bert-prune-pairs/masked", [], "inspect-prune-pairs"),
    ] as [(String, [String], String)])
  func inspect(_ model: String, _ options: [String], _ name: String) throws {
    let place = try Workplace()
    try place.copy(model, as: "model")
    let outcome = try place.shell("\"$POLLARD\" inspect model \(options.joined(separator: " "))")
    #expect(outcome.status == 0)
    #expect(outcome.errors.isEmpty)
    try Snapshot.check(outcome.output, name)
  }

  @Test(
    "compact and verify",
    arguments: [
      ("bert-plain", "", "auto"), ("bert-plain", "--shape ragged", "ragged"),
      ("llama-grouped", "--shape uniform", "uniform"),
      ("llama-grouped", "--shape ragged --dry-run", "dry-run"), ("bert-nothing", "", "nothing"),
      ("llama-tied", "--for transformers-5 --verify --quiet", "verify"),
    ])
  func compact(_ name: String, _ options: String, _ snapshot: String) throws {
    let place = try Workplace()
    let dense = name == "bert-nothing" ? "bert-plain" : name
    try place.copy("\(dense)/dense", as: "model")
    try place.copyFile("\(name)/masks.safetensors", as: "masks.safetensors")
    let compacted = try place.shell("\"$POLLARD\" compact model out --masks masks.safetensors \(options)")
    #expect(compacted.status == 0)
    #expect(compacted.errors.isEmpty)
    try Snapshot.check(compacted.output, "compact-\(snapshot)")
    if options.contains("--dry-run") {
      #expect(!place.exists("out"))
      return
    }
    #if !DEBUG
      let verified = try place.pollard("verify", "model", "out", "--masks", "masks.safetensors")
      #expect(verified.status == 0)
      #expect(verified.errors.isEmpty)
      try Snapshot.check(verified.output, "verify-\(snapshot)")
    #endif
  }

  #if !DEBUG
    @Test("compact --fold --verify")
    func folded() throws {
      let place = try Workplace()
      try place.copy("bert-constant-heads/masked", as: "model")
      try Snapshot.check(
        try place.pollard("compact", "model", "out", "--shape", "ragged", "--fold", "--verify").output, "compact-fold")
    }
  #endif

  @Test("compact from zeros, with units that are constant")
  func constant() throws {
    let place = try Workplace()
    try place.copy("bert-constant-heads/masked", as: "model")
    try Snapshot.check(try place.pollard("compact", "model", "out", "--shape", "ragged").output, "compact-constant")
  }

  @Test("verify when the answer is no")
  func different() throws {
    let place = try Workplace()
    try place.copy("bert-plain/dense", as: "model")
    try place.copyFile("bert-plain/masks.safetensors", as: "masks.safetensors")
    #expect(
      try place.pollard("compact", "model", "out", "--masks", "masks.safetensors", "--shape", "ragged").status == 0)
    let outcome = try place.pollard("verify", "model", "out")
    #expect(outcome.status == 1)
    #expect(outcome.errors.isEmpty)
    try Snapshot.check(outcome.output, "verify-different")
  }

  @Test("mask")
  func mask() throws {
    let place = try Workplace()
    try place.copy("llama-grouped/dense", as: "model")
    let outcome = try place.pollard("mask", "model", "m.safetensors", "--heads", "25%", "--ffn", "30%")
    #expect(outcome.status == 0)
    try Snapshot.check(outcome.output, "mask")
  }
}
