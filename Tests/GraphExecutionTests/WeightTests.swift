import Foundation
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Weights")
struct WeightTests {
  /// `x · w` for the identity x, which gives the elements of w.
  private func throughProduct(_ weight: Weight, _ residency: WeightResidency) throws -> [Float] {
    var builder = GraphBuilder(name: "product")
    let count = weight.shape[0]
    let x = builder.input("x", ValueType(.f32, [Size(count), Size(count)]))
    builder.output("y", try builder.add("MatMul", [x, builder.initializer("w", weight)]))
    var identity = [Float](repeating: 0, count: count * count)
    for index in 0..<count { identity[index * count + index] = 1 }
    let executor = try GraphExecutor(builder.graph, threads: twoThreads, weights: residency)
    return try #require(
      try executor.run(inputs: ["x": Tensor(floats: identity, extents: [count, count])])["y"]
    ).floats()
  }

  @Test(
    "A packed matrix holds the elements of its weight",
    arguments: [[1, 1], [3, 31], [32, 32], [70, 65], [700, 300]], [ElementType.f32, .f16, .bf16])
  func packing(extents: [Int], type: ElementType) throws {
    var random = RandomNumbers(seed: 5)
    let (rows, columns) = (extents[0], extents[1])
    let plain = Weight.floats(random.floats(rows * columns), shape: Shape(extents)).cast(to: type)
    let turned = Weight.floats(random.floats(rows * columns), shape: [columns, rows]).cast(to: type).transposed()
    for weight in [plain, turned, turned.cast(to: .f32), plain.keeping(Array(0..<max(1, columns / 2)), axis: 1)] {
      let expected = try weight.floats()
      #expect(try throughProduct(weight, .resident) == expected)
      #expect(try throughProduct(weight, .streamed) == expected)
    }
  }

  private func stored(_ values: [Float], shape: Shape, _ body: (Weight, String) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "pollard-weights-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try values.withUnsafeBytes { try Data($0).write(to: URL(filePath: path)) }
    try body(.stored(FileSource(path: path), byteOffset: 0, type: .f32, shape: shape), path)
  }

  @Test("Rows of a large table are gathered from its file")
  func gathersFromFile() throws {
    let (rows, width) = (70_000, 24)
    let values = (0..<rows * width).map { Float($0 % 1_000_003) }
    try stored(values, shape: [rows, width]) { table, _ in
      var builder = GraphBuilder(name: "gather")
      let ids = builder.input("ids", ValueType(.i64, [2, 2]))
      builder.output("y", try builder.add("Gather", [builder.initializer("table", table), ids]))
      let executor = try GraphExecutor(builder.graph, threads: twoThreads)
      let y = try executor.run(inputs: ["ids": Tensor(integers: [0, 69_999, -1, 35_000], extents: [2, 2])])["y"]
      let expected = [0, 69_999, 69_999, 35_000].flatMap { values[$0 * width..<($0 + 1) * width] }
      #expect(y?.floats() == expected)
      #expect(y?.extents == [2, 2, width])
    }
  }

  @Test("A file that was cut after it was opened gives an error, resident and streamed")
  func truncatedFile() throws {
    try stored([Float](repeating: 1, count: 64 * 64), shape: [64, 64]) { weight, path in
      var builder = GraphBuilder(name: "product")
      let x = builder.input("x", ValueType(.f32, [1, 64]))
      builder.output("y", try builder.add("MatMul", [x, builder.initializer("w", weight)]))
      let graph = builder.graph
      let streamed = try GraphExecutor(graph, threads: twoThreads, weights: .streamed)
      truncate(path, 1000)
      #expect(throws: FormatError.self) { try GraphExecutor(graph, threads: twoThreads, weights: .resident) }
      let x1 = Tensor(floats: [Float](repeating: 1, count: 64), extents: [1, 64])
      #expect(throws: FormatError.self) { try streamed.run(inputs: ["x": x1]) }
    }
  }

  @Test("Equal weights are packed once")
  func tiedWeights() throws {
    let weight = Weight.floats([Float](repeating: 1, count: 64 * 64), shape: [64, 64])
    var builder = GraphBuilder(name: "tied")
    var x = builder.input("x", ValueType(.f32, [1, 64]))
    for name in ["a", "b"] { x = try builder.add("MatMul", [x, builder.initializer(name, weight)]) }
    builder.output("y", x)
    let executor = try GraphExecutor(builder.graph, threads: oneThread)
    #expect(executor.packedByteCount == 64 * 64 * 4)
  }

  @Test("Double precision agrees with single precision up to its rounding", arguments: referenceCases)
  func doublePrecision(_ reference: ReferenceCase) throws {
    let executor = try GraphExecutor(reference.graph(), threads: oneThread, precision: .double)
    let found = try executor.run(inputs: reference.operands)
    for (slot, expected) in reference.outputs.enumerated() {
      let result = try #require(found["y\(slot)"])
      #expect(result.extents == expected.extents)
      #expect(result.type == (expected.type == .f32 ? .f64 : expected.type))
      let wanted = expected.tensor.doubles()
      let scale = max(1, wanted.lazy.filter(\.isFinite).map(abs).max() ?? 1)
      for (x, y) in zip(result.doubles(), wanted) {
        #expect(x == y || abs(x - y) <= max(reference.tolerance, 5e-4) * scale)
      }
    }
  }

  @Test("A whole encoder in double precision is close to single precision, and packs nothing")
  func doubleEncoder() throws {
    let sample = TransformerSample()
    let (graph, _) = try sample.build()
    let double = try GraphExecutor(graph, threads: twoThreads, precision: .double)
    #expect(double.packedByteCount == 0)
    let a = try #require(try double.run(inputs: sample.inputs())["last_hidden_state"])
    let b = try #require(
      try GraphExecutor(graph, threads: twoThreads).run(inputs: sample.inputs())["last_hidden_state"])
    #expect(a.type == .f64)
    for (x, y) in zip(a.doubles(), b.doubles()) { #expect(abs(x - y) < 2e-5) }
  }
}
