import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The bytes of memory of this machine.
private let memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))

/// A graph of a few nodes on given tensors.
private struct Claim: Sendable, CustomTestStringConvertible {
  struct Step {
    var op: OperatorName
    var inputs: [String?]
    var attributes: [String: Attribute] = [:]
    var version = Node.currentVersion
  }

  let testDescription: String
  var inputs: [String: Tensor] = [:]
  var constants: [String: Weight] = [:]
  /// Each gives a value of its number: `0`, `1` …; the last is the result.
  var steps: [Step]
  /// What it gives; nil for an error about types or sizes.
  var expected: [Double]?

  init(
    _ name: String, _ inputs: [String: Tensor], _ constants: [String: Weight] = [:], _ steps: [Step],
    gives expected: [Double]? = nil
  ) {
    (testDescription, self.inputs, self.constants, self.steps, self.expected) = (
      name, inputs, constants, steps, expected
    )
  }

  func evaluate() throws -> Tensor {
    var graph = Graph(name: testDescription)
    var known: [String: ValueID] = [:]
    for (name, tensor) in inputs.sorted(by: { $0.key < $1.key }) {
      known[name] = graph.addValue(Value(name: name, type: ValueType(tensor.type, nil)))
      if let id = known[name] { graph.addInput(id) }
    }
    for (name, weight) in constants { known[name] = graph.addValue(Value(name: name, initializer: weight)) }
    for (number, step) in steps.enumerated() {
      let result = graph.addValue(Value(name: "\(number)"))
      let operands = step.inputs.map { name in name.flatMap { known[$0] } }
      graph.append(
        Node(
          step.op, name: "\(step.op) \(number)", inputs: operands, outputs: [result], attributes: step.attributes,
          version: step.version))
      known["\(number)"] = result
    }
    let last = "\(steps.count - 1)"
    graph.addOutput(try #require(known[last]))
    let executor = try GraphExecutor(graph, threads: oneThread)
    return try #require(try executor.run(inputs: inputs)[last])
  }
}

private func step(
  _ op: String, _ inputs: [String?], _ attributes: [String: Attribute] = [:], domain: String = "",
  version: Int = Node.currentVersion
) -> Claim.Step {
  Claim.Step(op: OperatorName(op, domain: domain), inputs: inputs, attributes: attributes, version: version)
}

private func floats(_ values: [Float], _ extents: [Int]? = nil) -> Tensor {
  Tensor(floats: values, extents: extents ?? [values.count])
}

private func integers(_ values: [Int]) -> Tensor { Tensor(integers: values.map { Int64($0) }, extents: [values.count]) }

private func weight(_ values: [Float], _ extents: [Int]) -> Weight { .floats(values, shape: Shape(extents)) }

private let root = Int(Double(memory).squareRoot())

private func powerOfTwo(_ bound: Int) -> Int { 1 << (Int.bitWidth - 1 - bound.leadingZeroBitCount) }

private let square = floats([1, 2, 3, 4], [2, 2])
private let text = Tensor(strings: [[0x31], [0x32]], extents: [2])
private let empty = floats([], [0, 1, 1])
private let far = integers([0, 1 << 40, 1 << 40])

@Suite("What a file claims is computed or refused, and ends nothing else")
struct ClaimTests {
  fileprivate static let types: [Claim] = [
    Claim("strings as a shape", ["x": square, "s": text], [:], [step("Reshape", ["x", "s"])]),
    Claim("strings as indices", ["x": square, "s": text], [:], [step("Gather", ["x", "s"])]),
    Claim("strings as a count", ["x": square, "s": text], [:], [step("TopK", ["x", "s"])]),
    Claim(
      "strings as zero points",
      [
        "x": floats([1, 1, 1, 1, 1, 1, 1, 1], [1, 8]),
        "w": Tensor(bytes: [0, 0, 0, 0], type: .u8, extents: [1, 1, 4])
          ?? square, "s": floats([1]), "z": Tensor(strings: [[0x31]], extents: [1]),
      ], [:],
      [
        step(
          "MatMulNBits", ["x", "w", "s", "z"],
          ["K": .integer(8), "N": .integer(1), "block_size": .integer(8), "bits": .integer(4)], domain: "com.microsoft")
      ]),
    Claim(
      "integers by a matrix of numbers, with an activation", ["x": Tensor(integers: [1, 2, 3, 4], extents: [2, 2])],
      ["w": weight([1, 2, 3, 4], [2, 2])], [step("MatMul", ["x", "w"]), step("Relu", ["0"])]),
    Claim(
      "doubles by a matrix of numbers, with a bias", ["x": Tensor(doubles: [1, 2, 3, 4], extents: [2, 2])],
      ["w": weight([1, 2, 3, 4], [2, 2]), "b": weight([1, 2], [2])],
      [step("MatMul", ["x", "w"]), step("Add", ["0", "b"])]),
    Claim(
      "numbers with labels of integers", ["x": square], [:],
      [
        step(
          "LabelEncoder", ["x"], ["keys_int64s": .integers([1, 2]), "values_int64s": .integers([3, 4])],
          domain: "ai.onnx.ml")
      ]),
  ]

  fileprivate static let sizes: [Claim] = [
    Claim("expanded beside a zero", ["x": empty, "s": far], [:], [step("Expand", ["x", "s"])]),
    Claim(
      "expanded beside a zero, turned and flattened", ["x": empty, "s": far, "t": integers([-1])], [:],
      [
        step("Expand", ["x", "s"]), step("Transpose", ["0"], ["perm": .integers([2, 1, 0])]),
        step("Reshape", ["1", "t"]),
      ]),
    Claim("a constant beside a zero", ["s": far], [:], [step("ConstantOfShape", ["s"])]),
    Claim("expanded beyond memory", ["x": floats([1]), "s": integers([memory])], [:], [step("Expand", ["x", "s"])]),
    Claim(
      "a constant beyond memory", ["s": integers([memory])], [:],
      [step("ConstantOfShape", ["s"]), step("NonZero", ["0"])]),
    Claim(
      "padded beyond memory", ["x": floats([1]), "p": integers([0, memory / 2])], [:], [step("Pad", ["x", "p"])]),
    Claim(
      "bytes padded beyond what places take",
      ["x": Tensor(truths: [true], extents: [1]), "p": integers([0, memory / 4])],
      [:], [step("Pad", ["x", "p"])]),
    Claim(
      "resized beyond memory", ["x": floats([1]), "s": floats([Float(memory / 2)])], [:],
      [step("Resize", ["x", nil, "s"], ["mode": .string("nearest")])]),
    Claim(
      "a transform beyond memory", ["x": floats([1, 2], [1, 2, 1]), "n": integers([powerOfTwo(memory / 32)])], [:],
      [step("DFT", ["x", "n"], version: 17)]),
    Claim(
      "a window whose places are beyond memory",
      [
        "x": Tensor(doubles: Array(repeating: 1, count: 2 * root), extents: [1, 1, 2 * root]),
        "w": Tensor(doubles: Array(repeating: 1, count: root), extents: [1, 1, root]),
      ], [:], [step("Conv", ["x", "w"])]),
    Claim(
      "pads that no kernel takes", ["x": floats([1, 2, 3, 4], [1, 1, 4])], ["w": weight([1], [1, 1, 1])],
      [step("Conv", ["x", "w"], ["pads": .integers([1 << 31, 0]), "strides": .integers([1 << 31 - 1])])]),
    Claim(
      "negative pads that no kernel takes", ["x": floats([1, 2, 3, 4], [1, 1, 4])], ["w": weight([1], [1, 1, 1])],
      [
        step(
          "Conv", ["x", "w"],
          ["pads": .integers([-(1 << 31) - 5, 1 << 32 - 1]), "strides": .integers([1 << 31 - 1])])
      ]),
    Claim(
      "a window that is padded far", ["x": floats([1, 2, 3, 4], [1, 1, 4])], ["w": weight([1, 1, 1, 1], [1, 1, 4])],
      [step("Conv", ["x", "w"], ["auto_pad": .string("SAME_UPPER"), "dilations": .integers([1 << 31 - 1])])]),
    Claim(
      "filters times groups", ["x": floats([], [1, 0, 4])], ["w": weight([], [0, 4, 3])],
      [step("ConvTranspose", ["x", "w"], ["group": .integer(1 << 62)])]),
    Claim(
      "texts joined beyond memory",
      [
        "a": Tensor(strings: [Array(repeating: 0x61, count: 1 << 24)], extents: [1]),
        "b": Tensor(strings: Array(repeating: [], count: memory >> 26 + 1), extents: [memory >> 26 + 1]),
      ], [:], [step("StringConcat", ["a", "b"])]),
    Claim(
      "heads of no elements", ["x": floats([], [1, 2, 0]), "v": floats(Array(repeating: 1, count: 16), [1, 2, 8])], [:],
      [
        step(
          "LinearAttention", ["x", "x", "v"],
          ["q_num_heads": .integer(1 << 62), "kv_num_heads": .integer(1), "update_rule": .string("linear")])
      ]),
    Claim(
      "sinks for heads of no elements",
      [
        "x": floats([], [1, 2, 0]), "e": Tensor(narrowIntegers: [1], extents: [1]),
        "t": Tensor(narrowIntegers: [2], extents: [1]),
      ], [:],
      [
        step(
          "GroupQueryAttention", ["x", "x", "x", nil, nil, "e", "t"],
          ["num_heads": .integer(1 << 62), "kv_num_heads": .integer(1 << 62), "smooth_softmax": .integer(1)],
          domain: "com.microsoft")
      ]),
  ]

  fileprivate static let results: [Claim] = [
    Claim(
      "more positions taken away than there are",
      ["x": floats([1, 2, 3, 4, 5, 6], [2, 3]), "p": integers([0, -4, 0, 6])],
      [:], [step("Pad", ["x", "p"])], gives: Array(repeating: 0, count: 10)),
    Claim(
      "a step beyond the axis",
      [
        "x": floats([1, 2, 3, 4, 5, 6], [2, 3]), "s": integers([0]), "e": integers([.max]), "a": integers([0]),
        "t": integers([1 << 62]),
      ], [:], [step("Slice", ["x", "s", "e", "a", "t"])], gives: [1, 2, 3]),
    Claim(
      "many groups of no channels", ["x": floats([], [1, 0, 4])], ["w": weight([], [0, 0, 3])],
      [step("ConvTranspose", ["x", "w"], ["group": .integer(1 << 40)])], gives: []),
    Claim(
      "a long window of no filters", ["x": floats(Array(repeating: 1, count: 64), [1, 1, 64])],
      ["w": weight([], [1, 0, 1 << 29])], [step("ConvTranspose", ["x", "w"])], gives: []),
    Claim(
      "an empty axis padded beside a long one", ["x": floats([], [0, 1]), "p": integers([0, 0, 0, 1 << 20])], [:],
      [step("Pad", ["x", "p"])], gives: []),
  ]

  @Test("types that do not fit are refused", arguments: types)
  fileprivate func mismatches(_ claim: Claim) {
    let error = graphError { _ = try claim.evaluate() }
    #expect(error?.code == .typeMismatch, "\(error.map { "\($0)" } ?? "no error")")
  }

  @Test("sizes that no memory holds are refused", arguments: sizes)
  fileprivate func refused(_ claim: Claim) {
    let error = graphError { _ = try claim.evaluate() }
    #expect(error?.code == .tooLarge || error?.code == .shapeMismatch, "\(error.map { "\($0)" } ?? "no error")")
  }

  @Test("what only looks too large is computed", arguments: results)
  fileprivate func computed(_ claim: Claim) throws { #expect(try claim.evaluate().doubles() == claim.expected) }

  @Test("largest elements are found with and without their places")
  func places() throws {
    for count in 1...2 {
      var graph = Graph(name: "pool")
      let x = graph.addValue(Value(name: "x", type: ValueType(.f32, [1, 1, 4])))
      graph.addInput(x)
      let results = (0..<count).map { graph.addValue(Value(name: "\($0)")) }
      graph.append(
        Node(
          OperatorName("MaxPool"), name: "pool", inputs: [x], outputs: results,
          attributes: ["kernel_shape": .integers([2]), "strides": .integers([2])]))
      for id in results { graph.addOutput(id) }
      let found = try GraphExecutor(graph, threads: oneThread).run(inputs: ["x": floats([1, 3, 4, 2], [1, 1, 4])])
      #expect(found["0"]?.floats() == [3, 4])
      if count == 2 { #expect(found["1"]?.integers() == [1, 2]) }
    }
  }

  @Test(
    "texts of integers of 64 bits keep every bit, and are held in the range of a type",
    arguments: [
      ("9007199254740993", 7, 9_007_199_254_740_993), ("-9223372036854775808", 7, .min), ("1e3", 7, 1000),
      ("18446744073709551615", 13, -1), ("-1", 13, 0), ("300", 2, 255), ("-129", 3, -128), ("1e30", 7, .max),
    ] as [(String, Int, Int64)])
  func texts(text: String, type: Int, value: Int64) throws {
    let claim = Claim(
      text, ["x": Tensor(strings: [Array(text.utf8), Array("7".utf8)], extents: [2])], [:],
      [step("Cast", ["x"], ["to": .integer(type)])])
    #expect(try claim.evaluate().integers() == [value, 7])
  }
}
