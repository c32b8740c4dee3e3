import GraphCompaction
import Pollard
import PollardBase
import Testing

/// A case of `golden/layers`: a model of which some layers, or parts of layers, add nothing.
struct LayerCase: Sendable, CustomTestStringConvertible {
  let entry: JSONValue

  var name: String { entry["name"]?.stringValue ?? "" }
  var testDescription: String { name }
  var isGraph: Bool { name.hasPrefix("onnx-") }
  var folder: String { Paths.join(golden, "layers/\(name)") }
  var model: String { Paths.join(folder, isGraph ? "model.onnx" : "model") }
  var inputs: String { Paths.join(folder, "inputs.safetensors") }
  /// What torch or ONNX Runtime gives with all layers.
  var expected: String { Paths.join(folder, "expected.safetensors") }
  /// What they give without the layer `bypassed`.
  var expectedWithout: String { Paths.join(folder, "expected-without-\(bypassed).safetensors") }
  var dead: [Int] { entry["dead"]?.arrayValue?.compactMap(\.intValue) ?? [] }
  var bypassed: Int { entry["bypassed"]?.intValue ?? 0 }
  /// Parts outside of dead layers that add nothing.
  var parts: [LayerRemovals.Part] { entry["parts"]?.arrayValue?.compactMap(LayerRemovals.Part.init) ?? [] }

  /// The name of an output: `small.onnx` for graphs, a folder for the others.
  func output(_ name: String) -> String { isGraph ? name + ".onnx" : name }

  static let all: [LayerCase] =
    (try? Files.json(Paths.join(golden, "layers/cases.json")))?.arrayValue?.map(LayerCase.init) ?? []
  static let checkpoints = all.filter { !$0.isGraph }
  static let graphs = all.filter(\.isGraph)

  static func named(_ name: String) throws -> LayerCase { try #require(all.first { $0.name == name }) }

  /// Runs a model and compares its outputs with stored ones, at positions the attention mask admits.
  func expectOutputs(of path: String, equal expected: String, _ folder: TemporaryFolder) throws {
    let output = folder("out-\(UInt64.random(in: .min ... .max)).safetensors")
    try Model(at: path).run(inputs: inputs, outputs: output, allLayers: false, pool: pool)
    let results = try Tensors.doubles(output)
    let given = try Tensors.doubles(inputs)
    for (name, reference) in try Tensors.doubles(expected) {
      let result = try #require(results[name], "\(name)")
      #expect(result.extents == reference.extents, "\(name)")
      let mask = given[given["decoder_attention_mask"] == nil ? "attention_mask" : "decoder_attention_mask"]?.values
      let isPerToken = reference.extents.count > 2 && mask?.count == reference.extents[0] * reference.extents[1]
      let tokens = isPerToken ? mask ?? [] : []
      let width = tokens.isEmpty ? 0 : reference.values.count / tokens.count
      let places = reference.values.indices.filter { width == 0 || tokens[$0 / width] != 0 }
      let scale = places.map { abs(reference.values[$0]) }.max() ?? 0
      let gap = places.map { abs(result.values[$0] - reference.values[$0]) }.reduce(0) {
        $1.isNaN ? .infinity : max($0, $1)
      }
      #expect(scale > 0 && gap <= Tolerances.torchDouble.share * scale, "\(name): \(gap) of \(scale)")
    }
  }
}
