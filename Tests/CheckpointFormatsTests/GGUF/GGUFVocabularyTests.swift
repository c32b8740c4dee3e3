import CheckpointFormats
import PollardBase
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The vocabulary files in llama.cpp's source, which `tools/peers llama` installs; none where it has not.
private let vocabularies: [String] = {
  func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
  let cache = variable("XDG_CACHE_HOME") ?? Paths.join(variable("HOME") ?? "/", ".cache")
  let peers = variable("POLLARD_PEERS") ?? Paths.join(cache, "pollard/peers")
  let folder = Paths.join(peers, "llama.cpp/models")
  return ((try? Directories.names(in: folder)) ?? []).filter { $0.hasSuffix(".gguf") }.map { Paths.join(folder, $0) }
}()

@Suite("Real vocabulary files", .enabled(if: !vocabularies.isEmpty, "tools/peers llama installs the files"))
struct GGUFVocabularyTests {
  @Test("Each has tokens and comes back byte for byte", arguments: vocabularies)
  func roundTrip(path: String) throws {
    let file = try GGUFFile(path: path)
    let tokens = try file.metadata.array("tokenizer.ggml.tokens", of: .string)
    #expect(tokens.count > 1000 && file.tensors.isEmpty)
    #expect(try file.metadata.array("tokenizer.ggml.token_type", of: .int32).count == tokens.count)
    let writer = try GGUFWriter(
      metadata: file.metadata, tensors: [], fileName: "copy.gguf", options: GGUFWriter.Options(of: file))
    let folder = try TemporaryFolder()
    #expect(try allBytes(Paths.join(writer.write(into: folder), "copy.gguf")) == allBytes(path))
  }
}
