import CheckpointFormats
import GraphCompaction
import GraphExecution
import ModelGraph
import ModelImportance
import Pollard
import PollardBase
import TensorStorage
import Testing

#if !DEBUG
  /// A model with inputs to leave units out of.
  struct AblatedModel: Sendable, CustomTestStringConvertible {
    var path: String
    var inputs: String?

    var testDescription: String { String(path.dropFirst(golden.count + 1)) }

    static let all: [AblatedModel] =
      [
        "bert-plain-5", "distilbert-masked-lm-5", "gpt2-lm-5", "llama-grouped-5", "qwen2-5", "phi3-5",
        "falcon-grouped-5",
        "bloom-lm-5", "gemma2-5", "t5-lm-5",
      ].map {
        AblatedModel(path: golden + "/\($0)/dense", inputs: golden + "/\($0)/inputs.safetensors")
      }
      + [
        "bert-te18-sdpa", "bert-ort-multihead", "bert-ts11-eager", "gpt2-ts17-sdpa", "distilbert-ts17-eager",
        "t5-ts17-eager",
      ]
      .map {
        AblatedModel(path: golden + "/onnx/\($0)/masked.onnx", inputs: golden + "/onnx/\($0)/inputs-2x9.safetensors")
      }
      + ["llama-gqa", "gpt2-merged17-sdpa"].map {
        AblatedModel(path: golden + "/onnx/\($0)/masked.onnx", inputs: golden + "/onnx/\($0)/inputs-2x9x0.safetensors")
      }
      + ["f16", "q8_0"].map { AblatedModel(path: golden + "/gguf/tiny-\($0).gguf") }

    func tensors() throws -> [String: Tensor] {
      guard let inputs, Directories.kind(of: inputs) == .file else {
        return ["input_ids": Tensor(integers: [3, 14, 15, 9, 2, 6], extents: [1, 6])]
      }
      let file = try SafetensorsFile(path: inputs)
      var result: [String: Tensor] = [:]
      for record in file.tensors { result[record.name] = try Tensor(reading: file.weight(record)) }
      return result
    }
  }

  @Suite("Leaving a unit out is zeroing it, to the bit")
  struct LeaveOneOutTests {
    @Test(
      "outputs without each head and each run of neurons are those of the masked model", arguments: AblatedModel.all)
    func exact(_ ablated: AblatedModel) throws {
      let model = try Model(at: ablated.path)
      let map = try model.stored.dimensionMap()
      let inputs = try ablated.tensors()
      let ablation = try LeaveOneOut(map: map, inputs: inputs, pool: pool)
      #expect(!ablation.reference.isEmpty)
      var compared = 0
      for layer in map.layers {
        var sets: [(set: UnitSet, ranges: [Range<Int>])] = []
        if let heads = layer.heads { sets.append((.heads(heads), (0..<heads.count).map { $0..<$0 + 1 })) }
        if let neurons = layer.neurons {
          sets.append(
            (.single(neurons), stride(from: 0, to: neurons.size, by: 9).map { $0..<min(neurons.size, $0 + 9) }))
        }
        for (set, ranges) in sets {
          var index = 0
          try ablation.outputs(of: set, without: ranges) { outputs in
            let units = ranges[index]
            index += 1
            var list = Array(repeating: Float(1), count: set.count)
            for unit in units { list[unit] = 0 }
            var mask = UnitMask()
            if case .heads = set {
              mask.heads = map.layers.map { $0.index == layer.index ? list : nil }
            } else {
              mask.ffn = map.layers.map { $0.index == layer.index ? list : nil }
            }
            let masked = try map.maskedGraph(mask)
            let whole = try GraphExecutor(masked, threads: pool).run(inputs: inputs)
            for (id, tensor) in outputs {
              let reference = try #require(whole[map.graph[id].name])
              #expect(reference.extents == tensor.extents)
              #expect(
                zip(tensor.floats(), reference.floats()).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN },
                "layer \(layer.index), \(set.count) units, \(units)")
              compared += 1
            }
          }
          #expect(index == ranges.count)
        }
      }
      #expect(compared > 0)
    }

    @Test("what lies before given values is not looked at")
    func prefix() throws {
      let model = try Model(at: golden + "/gpt2-lm-5/dense")
      let graph = model.graph
      let executor = try GraphExecutor(graph, threads: pool)
      let tap = try #require(graph.taps.first { $0.name == "hidden_states.1" }).value
      let output = try #require(graph.outputs.first { graph[$0].name == "logits" })
      let ids = Tensor(integers: [1, 5, 7, 9], extents: [1, 4])
      let whole = try executor.values(of: [tap, output], inputs: ["input_ids": ids])
      let state = try #require(whole[tap])
      let other = ["input_ids": Tensor(integers: [2, 2, 2, 2], extents: [1, 4])]
      let rest = try executor.values(of: [output], inputs: other, given: [tap: state])
      #expect(rest[output]?.floats() == whole[output]?.floats())
      #expect(try executor.values(of: [output], inputs: other)[output]?.floats() != whole[output]?.floats())
      #expect(codeThrown { _ = try executor.values(of: [ValueID(1 << 40)], inputs: other) } == "unknownValue")
    }

    @Test("a model of packed products is scored without its weights being cut", arguments: ["llama-nbits4"])
    func packed(_ name: String) throws {
      let folder = try TemporaryFolder()
      for metric in [ImportanceMetric.activation, .ablation] {
        let report = try Model(at: golden + "/onnx/\(name)/masked.onnx").makeMask(
          MaskRequest(heads: .share(0.5), metric: metric, inputs: golden + "/onnx/\(name)/inputs-2x9x0.safetensors"),
          to: folder("\(metric)"), pool: pool)
        #expect(report.scores.contains { $0.heads.contains { $0 > 0 } })
      }
    }
  }
#endif
