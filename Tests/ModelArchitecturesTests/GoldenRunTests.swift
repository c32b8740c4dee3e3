import CheckpointFormats
import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Graphs compute what PyTorch computes in double precision")
struct GoldenRunTests {
  /// Largest difference allowed, as a part of the largest number of the reference: the reference is rounded nowhere,
  /// the graph computes in single precision, and the models have at most 4 layers.
  static let tolerance = 2e-4

  @Test(
    "every hidden state and output at valid places",
    arguments: GoldenCase.all.filter { $0.path("expected") != nil && $0.path("masked") != nil })
  func agrees(_ entry: GoldenCase) throws {
    let model = try HuggingFaceFolder(at: #require(entry.path("masked"))).model()
    let inputs = try Checkpoint(at: #require(entry.path("inputs")))
    let expected = try Checkpoint(at: #require(entry.path("expected")))
    var given: [String: Tensor] = [:]
    for tensor in inputs.tensors where model.graph.inputs.contains(where: { model.graph[$0].name == tensor.name }) {
      given[tensor.name] = try Tensor(reading: inputs.weight(tensor))
    }
    let executor = try GraphExecutor(model.graph, threads: ThreadPool(threadCount: 1))
    let results = try executor.run(inputs: given, collecting: Set(model.graph.taps.map(\.name)))
    for tensor in expected.tensors {
      let reference = try Tensor(reading: expected.weight(tensor))
      let result = try #require(results[tensor.name], "\(tensor.name)")
      #expect(result.extents == reference.extents)
      let isDecoder = given["decoder_attention_mask"] != nil && !tensor.name.hasPrefix("encoder_")
      let valid = try #require(given[isDecoder ? "decoder_attention_mask" : "attention_mask"]).integers()
      let (difference, scale) = compare(
        result.floats(), reference.doubles(), valid, isPerToken: isPerToken(tensor.name, entry))
      #expect(difference <= Self.tolerance * scale, "\(tensor.name): \(difference) of \(scale)")
    }
  }

  private func isPerToken(_ name: String, _ entry: GoldenCase) -> Bool {
    name != "pooler_output" && !(name == "logits" && entry.className.hasSuffix("ForSequenceClassification"))
  }

  private func compare(_ a: [Float], _ b: [Double], _ valid: [Int64], isPerToken: Bool) -> (Double, Double) {
    let width = isPerToken ? b.count / valid.count : b.count
    var difference = 0.0
    var scale = 0.0
    for (index, value) in b.enumerated() where !isPerToken || valid[index / width] != 0 {
      let gap = abs(Double(a[index]) - value)
      difference = gap.isNaN && !value.isNaN ? .infinity : max(difference, gap.isNaN ? 0 : gap)
      if !value.isNaN { scale = max(scale, abs(value)) }
    }
    return (difference, scale)
  }
}
