import PollardBase
import Testing

@Suite("Exit codes: 0 done or equal, 1 the answer is no, 2 error, 64 usage")
struct ExitCodeTests {
  @Test(
    "help and version go to standard output and are no error",
    arguments: [["--help"], ["--version"], [], ["help", "compact"]])
  func information(_ arguments: [String]) throws {
    let outcome = try Workplace().shell("\"$POLLARD\" " + arguments.joined(separator: " "))
    #expect(outcome.status == 0)
    #expect(!outcome.output.isEmpty)
    #expect(outcome.errors.isEmpty)
  }

  @Test("the version is one number")
  func version() throws {
    let outcome = try Workplace().pollard("--version")
    #expect(outcome.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
  }

  @Test(
    "requests that make no sense are 64, with the reason on standard error",
    arguments: [
      "compact", "compact a", "inspect", "inspect a b", "verify a", "mask a b", "run a --outputs o", "nonsense",
      "inspect a --nonsense",
      "compact a b --shape square", "compact a b --for nobody", "compact a b --round-to 0",
      "compact a b --round-to many",
      "compact a b --max-shard-size big", "inspect a --threads 0", "inspect a --threads 100000", "verify a b --batch 0",
      "verify a b --length 0", "verify a b --tolerance -1", "verify a b --tolerance inf", "verify a b --precision f8",
      "mask a b --heads 101%", "mask a b --heads=-1", "mask a b --ffn half", "mask a b --heads 1 --scope nowhere",
      "mask a b --heads 1 --importance beauty", "mask a b --heads 1 --seed soon", "run a --inputs i",
      "run a --inputs i --repeat 0", "run a --inputs i --outputs o --precision f16",
      "mask a b --heads 1 --inputs i", "compact a b --drop-layers x", "compact a b --keep-tokens t --drop-unused u",
      "compact a b --to pdf", "convert a b --type q9",
    ])
  func usage(_ arguments: String) throws {
    let outcome = try Workplace().shell("\"$POLLARD\" " + arguments)
    #expect(outcome.status == 64, "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
    #expect(!outcome.errors.isEmpty)
  }

  @Test("an instruction set that the machine does not have is 64, with those it has")
  func instructionSet() throws {
    let outcome = try Workplace().shell("POLLARD_INSTRUCTION_SET=vax \"$POLLARD\" inspect '\(golden)/bert-plain/dense'")
    #expect(outcome.status == 64)
    #expect(outcome.errors.contains("vax") && outcome.errors.contains("portable"))
  }

  @Test(
    "what does not work yet is 64 and says so",
    arguments: [
      "inspect a --html f"
    ])
  func later(_ arguments: String) throws {
    let outcome = try Workplace().shell("\"$POLLARD\" " + arguments)
    #expect(outcome.status == 64)
    #expect(outcome.errors.contains("does not work yet"))
    #expect(outcome.output.isEmpty)
  }

  @Test(
    "a model that is not there is 2 for every verb",
    arguments: [
      "inspect nowhere", "inspect nowhere --json", "compact nowhere out", "verify nowhere nowhere",
      "mask nowhere out --heads 1",
      "run nowhere --inputs i --outputs o", "convert nowhere out",
    ])
  func missing(_ arguments: String) throws {
    let place = try Workplace()
    let outcome = try place.shell("\"$POLLARD\" " + arguments)
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errors.hasPrefix("pollard: "))
    #expect(outcome.errors.contains("nowhere"))
    #expect(try place.names.isEmpty)
  }

  @Test("what looks like a Hub id gets a helpful line")
  func hub() throws {
    let outcome = try Workplace().pollard("inspect", "someone/some-model")
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("hf download someone/some-model"))
  }

  @Test("a damaged file is 2 and says where", arguments: [0, 4, 100, 5000])
  func truncated(_ length: Int) throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    try place.write("model/model.safetensors", Array(place.bytes("model/model.safetensors").prefix(length)))
    for verb in ["inspect model", "compact model out", "verify model model"] {
      let outcome = try place.shell("\"$POLLARD\" " + verb)
      #expect(outcome.status == 2)
      #expect(outcome.errors.contains("model.safetensors"))
    }
    #expect(try place.names == ["model"])
  }

  @Test("an output that exists is 2 without --force and replaced with it")
  func force() throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    try place.write("out", Array("mine".utf8))
    let refused = try place.pollard("compact", "model", "out")
    #expect(refused.status == 2)
    #expect(refused.errors.contains("--force"))
    #expect(try place.pollard("compact", "model", "out", "--force").status == 2, "a file is no model's folder")
    #expect(try place.bytes("out") == Array("mine".utf8))
    try place.copy("bert-masked-lm/masked", as: "old")
    #expect(try place.pollard("compact", "model", "old").status == 2)
    #expect(try place.pollard("compact", "model", "old", "--force").status == 0)
    #expect(place.exists("old/compaction.json"))
    #expect(try place.pollard("compact", "model", "model", "--force").status == 2)
    #expect(try place.names.sorted() == ["model", "old", "out"])
  }

  @Test("a mask of the wrong shape names file, tensor, expected and found shape")
  func maskShape() throws {
    let place = try Workplace()
    let name = "mask-wrong-shape/masks.safetensors"
    let entry = try JSONValue(parsing: Workplace.bytes(Paths.join(golden, "manifest.json")))["cases"]?.arrayValue?
      .first { $0["name"]?.stringValue == "mask-wrong-shape" }
    try place.copy(#require(entry?["dense"]?.stringValue), as: "model")
    try place.copyFile(name, as: "m.safetensors")
    let outcome = try place.pollard("compact", "model", "out", "--masks", "m.safetensors")
    #expect(outcome.status == 2)
    try Snapshot.check(outcome.errors, "error-mask-shape")
    #expect(outcome.errors.contains("m.safetensors"))
    #expect(!place.exists("out"))
  }

  @Test("a reader that goes away is no error and nothing is said")
  func closedPipe() throws {
    let place = try Workplace()
    let outcome = try place.shell(
      "(\"$POLLARD\" inspect '\(golden)/demo/masked' --json; echo $? > status) | sh -c 'exec 0<&-; sleep 0.2'")
    #expect(outcome.errors.isEmpty)
    let status = String(decoding: try place.bytes("status"), as: UTF8.self)
    #expect(status == "141\n" || status == "0\n")
  }

  @Test("names from files and arguments reach the terminal without control characters")
  func escaping() throws {
    let place = try Workplace()
    let header = Array(#"{"a\u001b[31mb\u202e":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.utf8)
    let padding = Array(repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    let length = header.count + padding.count
    try Directories.create(place("model"))
    try place.write(
      "model/model.safetensors",
      (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + header + padding + [0, 0, 0, 0])
    for arguments in [
      "inspect model --tensors", "inspect model --json", "compact model out", "inspect 'no\u{1b}[31mwhere'",
    ] {
      let outcome = try place.shell("\"$POLLARD\" " + arguments)
      for text in [outcome.output, outcome.errors] {
        #expect(
          !text.unicodeScalars.contains { $0 != "\n" && $0.properties.generalCategory == .control }, "\(arguments)")
      }
      if !arguments.contains("--json") { #expect(!(outcome.output + outcome.errors).contains("\u{202e}")) }
    }
    #expect(try place.pollard("inspect", "model", "--tensors").output.contains(#"a\u{1b}[31mb"#))
  }
}
