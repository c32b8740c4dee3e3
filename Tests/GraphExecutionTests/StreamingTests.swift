import Foundation
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Matrices that are read for one product alone")
struct StreamingTests {
  /// A file that is removed with the value.
  private final class NumberFile {
    let path = FileManager.default.temporaryDirectory.appending(path: "pollard-stream-\(UUID().uuidString)").path
    let source: FileSource

    init(_ values: [Float], as type: ElementType) throws {
      let bytes = try Weight.floats(values, shape: [values.count]).cast(to: type).bytes()
      try Data(bytes).write(to: URL(filePath: path))
      source = try FileSource(path: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private func product(_ weight: Weight, bias: [Float]?, op: String = "MatMul") throws -> Graph {
    var builder = GraphBuilder(name: "product")
    let x = builder.input("x", ValueType(.f32, [.symbol("rows"), Size(weight.shape[0])]))
    var y = try builder.add(op, [x, builder.initializer("w", weight)])
    if let bias {
      y = try builder.add("Add", [y, builder.initializer("b", .floats(bias, shape: [bias.count]))])
      y = try builder.add("Relu", [y])
    }
    builder.output("y", y)
    return builder.graph
  }

  @Test(
    "A streamed product has the bits of a resident one, whatever the strips are",
    arguments: [[1, 64, 48], [7, 96, 33], [32, 2048, 320], [300, 64, 257], [3, 1, 1], [2, 300, 31]],
    [ElementType.f32, .f16, .bf16])
  func strips(extents: [Int], type: ElementType) throws {
    var random = RandomNumbers(seed: 11)
    let (rows, depth, columns) = (extents[0], extents[1], extents[2])
    let file = try NumberFile(random.floats(depth * columns), as: type)
    let stored = Weight.stored(file.source, byteOffset: 0, type: type, shape: [columns, depth])
    let half = Array(stride(from: 0, to: depth, by: 2))
    let weights = [
      stored.transposed(), stored.cast(to: .f32).transposed(), stored.zeroing(half, axis: 1).transposed(),
      Weight.stored(file.source, byteOffset: 0, type: type, shape: [depth, columns]),
    ]
    let x = ["x": Tensor(floats: random.floats(rows * depth), extents: [rows, depth])]
    let bias = random.floats(columns)
    for weight in weights {
      for bias in [nil, bias] {
        let graph = try product(weight, bias: bias)
        let resident = try GraphExecutor(graph, threads: oneThread, weights: .resident).run(inputs: x)["y"]
        for threads in [oneThread, twoThreads] {
          let executor = try GraphExecutor(graph, threads: threads, weights: .streamed)
          #expect(sameBits(try executor.run(inputs: x)["y"], resident))
        }
      }
    }
  }

  #if !DEBUG
    @Test("A wide matrix stored inputs first is read in bands")
    func bands() throws {
      var random = RandomNumbers(seed: 12)
      let (depth, columns) = (2100, 4160)
      let weight = Weight.floats(random.floats(depth * columns), shape: [depth, columns])
      let x = ["x": Tensor(floats: random.floats(2 * depth), extents: [2, depth])]
      let graph = try product(weight, bias: random.floats(columns))
      let resident = try GraphExecutor(graph, threads: oneThread, weights: .resident).run(inputs: x)["y"]
      let streamed = try GraphExecutor(graph, threads: twoThreads, weights: .streamed).run(inputs: x)["y"]
      #expect(sameBits(streamed, resident))
    }
  #endif

  @Test("A run that goes on step by step shows what a whole run gives, beside another one")
  func steps() throws {
    let sample = TransformerSample()
    let (graph, _) = try sample.build()
    let wanted = Set(graph.taps.map(\.value) + graph.outputs)
    let executor = try GraphExecutor(graph, threads: twoThreads, weights: .streamed)
    let other = try GraphExecutor(graph, threads: twoThreads, weights: .streamed, sharingMemoryWith: executor)
    let expected = try executor.run(inputs: sample.inputs(), collectingValues: wanted).values
    let runs = try [executor, other].map { try $0.stepping(inputs: sample.inputs(), observing: wanted) }
    var found: [[ValueID: Tensor]] = [[:], [:]]
    var open = [true, true]
    var last = -1.0
    while open.contains(true) {
      for side in runs.indices where open[side] {
        open[side] = try runs[side].advance { found[side][$0] = $1 }
        if side == 0 {
          #expect(runs[0].progress >= last)
          last = runs[0].progress
        }
      }
    }
    #expect(runs.allSatisfy { $0.progress == 1 })
    for id in wanted { for side in runs.indices { #expect(sameBits(found[side][id], expected[id])) } }
    #expect(graphError { _ = try executor.stepping(inputs: [:], observing: [ValueID(1 << 20)]) }?.code == .unknownValue)
  }

  @Test("A file of many matrices is read ahead, and an abandoned run ends")
  func readAhead() throws {
    var random = RandomNumbers(seed: 13)
    let width = 1024
    let file = try NumberFile(random.floats(width * width), as: .f32)
    var builder = GraphBuilder(name: "deep")
    var x = builder.input("x", ValueType(.f32, [1, Size(width)]))
    for layer in 0..<12 {
      let weight = Weight.stored(file.source, byteOffset: 0, type: .f32, shape: [width, width]).transposed()
      x = try builder.add("MatMul", [x, builder.initializer("w\(layer)", weight)])
      x = try builder.add("Tanh", [x])
    }
    builder.output("y", x)
    let inputs = ["x": Tensor(floats: random.floats(width), extents: [1, width])]
    let resident = try GraphExecutor(builder.graph, threads: twoThreads, weights: .resident).run(inputs: inputs)["y"]
    let executor = try GraphExecutor(builder.graph, threads: twoThreads, weights: .streamed)
    #expect(sameBits(try executor.run(inputs: inputs)["y"], resident))
    let abandoned = try executor.stepping(inputs: inputs, observing: [])
    #expect(try abandoned.advance { _, _ in })
    #expect(try abandoned.advance { _, _ in })
  }
}
