import PollardBase
import Testing

@Suite("What a first user meets")
struct NewcomerTests {
  private let mask = #"{"remove": {"heads": {"0": [2], "1": [0]}}}"#

  @Test("a configuration of an unknown architecture is named, not said to be missing")
  func unknownArchitecture() throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    try place.write("model/config.json", Array(#"{"model_type": "nobody"}"#.utf8))
    let outcome = try place.pollard("inspect", "model")
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("architecture  unknown\n"))
    #expect(outcome.output.contains(#"found "nobody""#))
    #expect(!outcome.output.contains("no config.json"))
  }

  @Test("a folder with nothing but an ONNX file is read as that file")
  func otherFormat() throws {
    let place = try Workplace()
    try place.write("model.onnx", [1, 2, 3])
    let outcome = try place.pollard("inspect", ".")
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("./model.onnx: (byte 0)"))
  }

  @Test("a loader of another format is refused in a sentence")
  func otherLoader() throws {
    let outcome = try Workplace().pollard("compact", "\(golden)/bert-plain/masked", "out", "--for", "llama.cpp")
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("cannot open the output; reads GGUF only"))
  }

  @Test("--retarget alone writes the class that more loaders open")
  func retarget() throws {
    let place = try Workplace()
    try place.write("m.json", Array(mask.utf8))
    let model = "\(golden)/llama-tied/dense"
    let own = try place.pollard("compact", model, "own", "--masks", "m.json")
    #expect(own.status == 0 && !own.output.contains("written as"))
    let other = try place.pollard("compact", model, "other", "--masks", "m.json", "--retarget")
    #expect(other.status == 0, "\(other.errors)")
    #expect(other.output.contains("written as model_type mistral"))
    #expect(other.output.contains(try Regex("transformers-5 +yes")))
    #expect(try place.pollard("verify", model, "other", "--masks", "m.json").status == 0)
  }

  @Test("weights that are written anew in shards are not said to be left behind")
  func resharded() throws {
    let outcome = try Workplace().pollard(
      "compact", "\(golden)/bert-plain/masked", "out", "--max-shard-size", "4KB")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(!outcome.output.contains("not carried over"))
  }

  @Test(
    "a mask that names a layer twice, or a kind that is none, is refused",
    arguments: [
      #"{"remove": {"heads": {"0": [1], "00": [0]}}}"#, #"{"remove": {"heads": {"-0": [1]}}}"#,
      #"{"remove": {"experts": {}, "heads": {"0": [1]}}}"#,
    ])
  func spelling(_ text: String) throws {
    let place = try Workplace()
    try place.write("m.json", Array(text.utf8))
    let outcome = try place.pollard("compact", "\(golden)/bert-plain/dense", "out", "--masks", "m.json")
    #expect(outcome.status == 2)
    #expect(!place.exists("out"))
  }

  @Test("an interrupted run leaves nothing, finished or hidden", arguments: ["TERM", "HUP"])
  func interruption(_ signal: String) throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    // A big file to copy gives the time to interrupt.
    let outcome = try place.shell(
      """
      mkdir out
      head -c 400000000 /dev/zero > model/extra.dat
      "$POLLARD" compact model out/small & process=$!
      while [ -z "$(ls -A out)" ] && kill -0 $process 2>/dev/null; do :; done
      kill -s \(signal) $process
      wait $process
      echo "status $?"
      """)
    #expect(outcome.output.contains(signal == "TERM" ? "status 143" : "status 129"))
    #expect(try Directories.names(in: place("out")) == [])
  }
}
