import CheckpointFormats
import GraphExecution
import ModelVerification
import Pollard
import PollardBase
import TensorStorage
import Testing

private typealias O = ONNXBytes

/// Two rounds of `Min(state, cap)`, where the cap is a tensor of the body.
private func loop(cap: [UInt8]) -> [UInt8] {
  let body = O.graph(
    [O.node("Identity", ["going"], ["on"]), O.node("Min", ["state", "cap"], ["next"])],
    [O.value("round", .i64, []), O.value("going", .bool, []), O.value("state", .f32, ["n", 4])],
    [O.value("on", .bool, []), O.value("next", .f32, ["n", 4])], [cap])
  return O.model(
    O.graph(
      [O.node("Loop", ["rounds", "", "x"], ["y"], [("body", .graph(body))])], [O.value("x", .f32, ["n", 4])],
      [O.value("y", .f32, ["n", 4])], [O.integers("rounds", [], [2])]))
}

@Suite("Files made to be judged wrongly")
struct CraftedFileTests {
  @Test("loops whose bodies differ in a tensor are not equal, within the file or beside it", arguments: [false, true])
  func loopBodies(isOutside: Bool) throws {
    let folder = try TemporaryFolder()
    for (name, cap) in [("a", Float(100)), ("b", 1000), ("c", 100)] {
      try Directories.create(folder(name))
      try Files.write(folder("\(name)/cap.bin"), O.little([cap.bitPattern]))
      let tensor = isOutside ? O.outside("cap", [1], file: "cap.bin") : O.floats("cap", [1], [cap])
      try Files.write(folder("\(name)/m.onnx"), loop(cap: tensor))
    }
    let other = try verify(original: folder("a/m.onnx"), compacted: folder("b/m.onnx"), pool: pool)
    #expect(!other.equal)
    #expect(other.text.contains("cap"), "\(other.text)")
    #expect(try verify(original: folder("a/m.onnx"), compacted: folder("c/m.onnx"), pool: pool).equal)
  }

  @Test("a compacted file with a loop that reads a tensor beside it is equal")
  func compactedLoop() throws {
    let folder = try TemporaryFolder()
    try Files.write(folder("cap.bin"), O.little([Float(100).bitPattern]))
    try Files.write(folder("m.onnx"), loop(cap: O.outside("cap", [1], file: "cap.bin")))
    let model = try Model(at: folder("m.onnx"))
    try model.compact(model.plan(pool: pool), to: folder("small.onnx"), pool: pool)
    let verdict = try verify(original: folder("m.onnx"), compacted: folder("small.onnx"), pool: pool)
    #expect(verdict.equal, "\(verdict.text)")
  }

  @Test(
    "a mask of fixed extents is padded by a quarter of its own width",
    arguments: [([2, 1], 16), ([2, 128], 1024), ([2, 128], 2048), ([2, 8], 4)])
  func fixedMask(extents: [Int], length: Int) throws {
    let folder = try TemporaryFolder()
    let graph = O.graph(
      [
        O.node("Cast", ["attention_mask"], ["numbers"], [("to", .integer(1))]),
        O.node("Sqrt", ["numbers"], ["y"]),
      ], [O.value("attention_mask", .i64, extents)], [O.value("y", .f32, extents)])
    try Files.write(folder("m.onnx"), O.model(graph))
    let verdict = try verify(
      original: folder("m.onnx"), compacted: folder("m.onnx"), options: VerificationOptions(length: length), pool: pool)
    #expect(verdict.equal, "\(verdict.text)")
    let compared = verdict.report.run?.comparison.values.first?.compared
    #expect(compared == extents[0] * extents[1] - min(length, extents[1]) / 4)
  }

  @Test("a mask of floating-point numbers is an input like any other, where 0 may admit")
  func floatMask() throws {
    let folder = try TemporaryFolder()
    let names = ["b", "s"]
    let graph = O.graph(
      [O.node("Mul", ["x", "attention_mask"], ["y"])],
      [O.value("x", .f32, names), O.value("attention_mask", .f32, names)], [O.value("y", .f32, names)])
    try Files.write(folder("m.onnx"), O.model(graph))
    let verdict = try verify(original: folder("m.onnx"), compacted: folder("m.onnx"), pool: pool)
    #expect(verdict.equal, "\(verdict.text)")
    #expect(verdict.report.run?.comparison.values.first?.compared == 32)
  }

  /// An element type under its number in ONNX, with a number that single precision does not hold where the type is wide enough.
  fileprivate struct Whole: Sendable {
    var element: ElementType
    var kind: ONNXBytes.Kind
    var value: Int
  }

  fileprivate static let wholes = [
    Whole(element: .u8, kind: .u8, value: 200), Whole(element: .i32, kind: .i32, value: -7),
    Whole(element: .u32, kind: .u32, value: 16_777_217), Whole(element: .u64, kind: .u64, value: 1 << 62 + 1),
  ]

  @Test("outputs of integers are written as what they are", arguments: wholes)
  fileprivate func integerOutputs(whole: Whole) throws {
    let folder = try TemporaryFolder()
    let graph = O.graph(
      [O.node("Cast", ["c"], ["y"], [("to", .integer(whole.kind.rawValue))]), O.node("Identity", ["x"], ["z"])],
      [O.value("x", .f32, [1])], [O.value("y", whole.kind, [1]), O.value("z", .f32, [1])],
      [O.integers("c", [1], [Int64(whole.value)])])
    try Files.write(folder("m.onnx"), O.model(graph))
    try Files.write(folder("in.safetensors"), Self.input)
    for name in ["out.safetensors", "out.npz"] {
      try Model(at: folder("m.onnx")).run(inputs: folder("in.safetensors"), outputs: folder(name), pool: pool)
    }
    let found = try SafetensorsFile(path: folder("out.safetensors"))
    let tensor = try #require(found.tensors.first { $0.name == "y" })
    #expect(tensor.type == whole.element)
    #expect(try Tensor(reading: found.weight(tensor)).integers() == [Int64(whole.value)])
    let archive = try NumPyFile(FileSource(path: folder("out.npz")))
    let array = try #require(archive.arrays.first { $0.name == "y" })
    #expect(array.weight.type == whole.element)
  }

  @Test("an output of strings is refused by its name, and no file is written")
  func textOutput() throws {
    let folder = try TemporaryFolder()
    let graph = O.graph(
      [O.node("Cast", ["x"], ["y"], [("to", .integer(8))])], [O.value("x", .f32, [1])], [O.value("y", .text, [1])])
    try Files.write(folder("m.onnx"), O.model(graph))
    try Files.write(folder("in.safetensors"), Self.input)
    do {
      try Model(at: folder("m.onnx")).run(
        inputs: folder("in.safetensors"), outputs: folder("out.safetensors"), pool: pool)
      Issue.record("a file of strings was written")
    } catch let error as GraphError {
      #expect("\(error)".contains("\"y\"") && "\(error)".contains("STRING"), "\(error)")
    }
    #expect(try folder.names.sorted() == ["in.safetensors", "m.onnx"])
  }

  /// A safetensors file with `x` of F32[1].
  private static let input: [UInt8] = {
    let header = Array(#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.utf8)
    return O.little([UInt64(header.count)]) + header + O.little([Float(1).bitPattern])
  }()
}
