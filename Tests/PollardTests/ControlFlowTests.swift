import CheckpointFormats
import GraphExecution
import Pollard
import PollardBase
import Testing

@Suite("Models with loops")
struct ControlFlowTests {
  private static let names = ["around", "within"]

  private func path(_ name: String, _ file: String) -> String { "\(golden)/control-flow/\(name)/\(file)" }

  private func tensors(_ path: String) throws -> [String: Tensor] {
    let file = try SafetensorsFile(path: path)
    return try Dictionary(
      uniqueKeysWithValues: file.tensors.map { ($0.name, try Tensor(reading: file.weight($0))) })
  }

  #if !DEBUG
    @Test("outputs are those of ONNX Runtime, before and after compaction around the loops", arguments: names)
    func outputs(_ name: String) throws {
      let folder = try TemporaryFolder()
      let model = try Model(at: path(name, "masked.onnx"))
      try model.compact(model.plan(pool: pool), to: folder("small.onnx"), pool: pool)
      let verdict = try verify(original: model.path, compacted: folder("small.onnx"), pool: pool)
      #expect(verdict.equal && verdict.bitIdentical == true, "\(verdict.text)")
      let expected = try tensors(path(name, "runtime-2x9.safetensors"))
      #expect(expected.count == 5)
      for file in [model.path, folder("small.onnx")] {
        try Model(at: file).run(
          inputs: path(name, "inputs-2x9.safetensors"), outputs: folder("out.safetensors"), replacing: true, pool: pool)
        let found = try tensors(folder("out.safetensors"))
        for (output, tensor) in expected {
          let result = try #require(found[output])
          #expect(result.extents == tensor.extents)
          let far = zip(result.floats(), tensor.floats()).map { abs($0 - $1) }.max() ?? 0
          #expect(far < 2e-5, "\(output) of \(file)")
        }
      }
    }
  #endif

  @Test("a loop holds the neurons that it reads, and no others")
  func held() throws {
    let plain = try Model(at: golden + "/onnx/bert-ts17-eager/masked.onnx").plan(pool: pool).counts
    let around = try Model(at: path("around", "masked.onnx")).plan(pool: pool).counts
    let within = try Model(at: path("within", "masked.onnx")).plan(pool: pool).counts
    #expect(around.dead == plain.dead)
    #expect(within.dead < plain.dead && within.dead > 0)
  }
}
