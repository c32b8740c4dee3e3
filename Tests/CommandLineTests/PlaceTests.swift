import PollardBase
import Testing

@Suite("Where models lie and how they are named")
struct PlaceTests {
  @Test("a folder of links, as the Hub cache has it, becomes a folder of files")
  func links() throws {
    let place = try Workplace()
    let outcome = try place.shell(
      """
      set -e
      mkdir -p blobs snapshots/one
      cp '\(golden)/bert-plain/masked/model.safetensors' blobs/aaa; cp '\(golden)/bert-plain/masked/config.json' blobs/bbb
      ln -s ../../blobs/aaa snapshots/one/model.safetensors; ln -s ../../blobs/bbb snapshots/one/config.json
      echo text > blobs/ccc; ln -s ../../blobs/ccc snapshots/one/vocab.txt
      "$POLLARD" compact snapshots/one out --shape ragged
      "$POLLARD" verify snapshots/one out --batch 1 --length 3
      test ! -L out/model.safetensors; test ! -L out/config.json; test ! -L out/vocab.txt
      cmp out/vocab.txt blobs/ccc; cmp '\(golden)/bert-plain/masked/model.safetensors' blobs/aaa
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test(
    "a weight file, a shard index, a trailing slash, spaces and other alphabets",
    arguments: [
      ("bert-plain/masked", "model.safetensors"), ("llama-sharded/masked", "model.safetensors.index.json"),
      ("bert-plain/masked", ""),
    ])
  func names(_ source: String, _ file: String) throws {
    let place = try Workplace()
    try place.copy(source, as: "mein Modell ü")
    let outcome = try place.shell(
      """
      set -e
      "$POLLARD" inspect "mein Modell ü/\(file)"
      mkdir "aus gabe"
      "$POLLARD" compact "mein Modell ü/\(file)" "aus gabe/é/" --shape ragged
      "$POLLARD" verify "mein Modell ü" "aus gabe/é" --batch 1 --length 3
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test("an output in a folder that does not exist, or under a file, is 2 and makes nothing")
  func parents() throws {
    let place = try Workplace()
    try place.write("file", [1])
    for output in ["nowhere/out", "file/out"] {
      let outcome = try place.pollard("compact", "\(golden)/bert-plain/masked", output)
      #expect(outcome.status == 2, "\(output)")
      #expect(outcome.errors.contains(output.prefix(4)))
    }
    #expect(try place.names == ["file"])
  }

  @Test("one thread and three give the same bytes")
  func threads() throws {
    let place = try Workplace()
    let outcome = try place.shell(
      """
      set -e
      for n in 1 3; do
        "$POLLARD" compact '\(golden)/llama-grouped/masked' out$n --threads $n
        "$POLLARD" run out$n --inputs '\(golden)/llama-grouped/inputs.safetensors' --outputs run$n --all-layers --threads $n
      done
      cmp run1 run3; diff -r out1 out3
      """)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
  }

  @Test("the input is never touched")
  func untouched() throws {
    let place = try Workplace()
    try place.copy("bert-plain/masked", as: "model")
    let outcome = try place.shell(
      """
      cp -r model before; chmod -R a-w model
      "$POLLARD" inspect model --sparsity && "$POLLARD" compact model out && "$POLLARD" verify model out --length 3
      status=$?; chmod -R u+w model; diff -r before model && exit $status
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }
}
