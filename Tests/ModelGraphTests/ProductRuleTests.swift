import ModelGraph
import PollardBase
import TensorStorage
import Testing

private let b = Size.symbol("batch")
private let s = Size.symbol("sequence")

private func matrix(_ rows: [[Float]]) -> NodeFixture.Operand {
  .weight(.floats(rows.flatMap { $0 }, shape: [rows.count, rows[0].count]))
}

private func vector(_ values: [Float]) -> NodeFixture.Operand { .weight(.floats(values, shape: [values.count])) }

@Suite("Rules of products, convolutions and quantisers")
struct ProductRuleTests {
  @Test("Gemm contracts the rows or, transposed, the columns of its matrix; the addend follows the result")
  func gemm() throws {
    for transposed in [0, 1] {
      let shape: Shape = transposed == 1 ? [5, 4] : [4, 5]
      let fixture = NodeFixture(
        "Gemm", [.shape([b, 4]), .weight(.zeros(type: .f32, shape: shape)), vector([1, 2, 3, 4, 5])],
        ["transB": .integer(transposed)])
      #expect(try fixture.shapes() == [[b, 5]])
      let axes = try fixture.relations()
      #expect(axes.same(axes.input(0, 1), axes.input(1, transposed)))
      #expect(axes.same(axes.input(2, 0), axes.output(0, 1)))
      #expect(axes.same(axes.input(1, 1 - transposed), axes.output(0, 1)))
      #expect(axes.relations.contractions.count == 1)
      #expect(axes.pins(axes.input(0, 1)).isEmpty)
    }
  }

  @Test("Gemm's terms are zero where the transposed matrix has a column of zeros")
  func gemmZeros() throws {
    let fixture = NodeFixture(
      "Gemm", [.shape([b, 3]), matrix([[1, 0, 2], [0, 0, 0]]), vector([0, 0])], ["transB": .integer(1)])
    let (states, sums) = try fixture.states()
    #expect(sums.first?.terms == [.unknown, .zero, .unknown])
    #expect(sums.first?.consumerZero == [false, true, false])
    #expect(states[0]?.states == [.unknown, .zero])
  }

  @Test("FusedMatMul with both operands transposed")
  func fused() throws {
    let fixture = NodeFixture(
      "FusedMatMul", domain: "com.microsoft", [.shape([b, 2, 8, s]), .shape([b, 2, 6, 8])],
      ["transA": .integer(1), "transB": .integer(1)])
    #expect(try fixture.shapes() == [[b, 2, s, 6]])
    let axes = try fixture.relations()
    #expect(axes.same(axes.input(0, 2), axes.input(1, 3)))
    #expect(axes.same(axes.input(1, 2), axes.output(0, 3)))
  }

  @Test("Einsum joins equal letters and contracts those the result has not")
  func einsum() throws {
    let fixture = NodeFixture(
      "Einsum", [.shape([b, s, 4, 8]), .weight(.zeros(type: .f32, shape: [4, 8, 6]))],
      ["equation": .string("bsnh, nhd -> bsd")])
    #expect(try fixture.shapes() == [[b, s, 6]])
    let axes = try fixture.relations()
    #expect(axes.same(axes.input(0, 2), axes.input(1, 0)))
    #expect(axes.same(axes.input(0, 3), axes.input(1, 1)))
    #expect(axes.same(axes.input(1, 2), axes.output(0, 2)))
    #expect(axes.relations.contractions.count == 2)
    let linear = NodeFixture(
      "Einsum", [.shape([b, 3]), matrix([[0, 1], [0, 0], [0, 2]])], ["equation": .string("bk,kn->bn")])
    let (states, sums) = try linear.states()
    #expect(sums.first?.terms == [.unknown, .zero, .unknown])
    #expect(states[0]?.states == [.zero, .unknown])
  }

  @Test("A convolution contracts its channels and passes its filters; kernel and places are pinned")
  func convolution() throws {
    let fixture = NodeFixture(
      "Conv", [.shape([b, 3, 8, 8]), .weight(.zeros(type: .f32, shape: [5, 3, 3, 3])), vector([0, 0, 0, 0, 0])])
    let axes = try fixture.relations()
    #expect(axes.same(axes.input(0, 1), axes.input(1, 1)))
    #expect(axes.same(axes.input(1, 0), axes.output(0, 1)))
    #expect(axes.same(axes.input(2, 0), axes.output(0, 1)))
    #expect(axes.pins(axes.output(0, 1)).isEmpty)
    #expect(axes.pins(axes.input(1, 2)) == [.reduced])
  }

  @Test("A convolution of each channel alone makes channel, filter and result one unit; other groups are pinned")
  func groups() throws {
    let depthwise = NodeFixture(
      "Conv", [.shape([b, 4, 8]), .weight(.zeros(type: .f32, shape: [4, 1, 3]))], ["group": .integer(4)])
    let axes = try depthwise.relations()
    #expect(axes.same(axes.input(0, 1), axes.input(1, 0)))
    #expect(axes.same(axes.input(0, 1), axes.output(0, 1)))
    #expect(axes.pins(axes.input(0, 1)).isEmpty)
    let grouped = try NodeFixture(
      "Conv", [.shape([b, 4, 8]), .weight(.zeros(type: .f32, shape: [4, 2, 3]))], ["group": .integer(2)]
    ).relations()
    #expect(grouped.pins(grouped.input(0, 1)) == [.reduced])
    let double = try NodeFixture(
      "Conv", [.shape([b, 4, 8]), .weight(.zeros(type: .f32, shape: [8, 1, 3]))], ["group": .integer(4)]
    ).relations()
    #expect(double.sizes(double.output(0, 1)) == [4, 2])
  }

  @Test("Convolutions: a zero filter gives a zero channel, a zero channel of every filter is ignored")
  func convolutionZeros() throws {
    // Filters 2, channels 2, kernel 2: channel 1 is never read, filter 0 is zero.
    let weight = Weight.floats([0, 0, 0, 0, 3, 0, 0, 0], shape: [2, 2, 2])
    let (states, sums) = try NodeFixture("Conv", [.shape([b, 2, 8]), .weight(weight)]).states()
    #expect(sums.first?.terms == [.unknown, .zero])
    #expect(states[0]?.states.prefix(7).allSatisfy { $0 == .zero } == true)
    #expect(states[0]?.states.suffix(7).allSatisfy { $0 == .unknown } == true)
    let biased = try NodeFixture("Conv", [.shape([b, 2, 8]), .weight(weight), vector([1, 0])]).states().states[0]
    #expect(biased?.states[0] == .unknown)
  }

  @Test("Batch normalisation: without a scale the shift comes out; of zeros with a mean of zero as well")
  func batchNormalization() throws {
    let vectors = [vector([0, 0, 1, 1]), vector([0, 2, 0, 0]), vector([1, 1, 0, 1]), vector([1, 1, 1, 1])]
    let unknown = try NodeFixture("BatchNormalization", [.shape([b, 4, s])] + vectors).states().states[0]
    #expect(unknown?.states == [.zero, .constant, .unknown, .unknown])
    let zeros = NodeFixture.Operand.weight(.zeros(type: .f32, shape: [1, 4, 1]))
    let zero = try NodeFixture("BatchNormalization", [zeros] + vectors).states().states[0]
    #expect(zero?.states == [.zero, .constant, .zero, .constant])
    #expect(zero?.constants[1] == 2)
  }

  @Test("A dynamic quantiser sees every entry: a unit it sees is dead only when its activation is zero")
  func quantiser() throws {
    let fixture = NodeFixture("DynamicQuantizeLinear", [.shape([b, 3])], outputs: 3)
    #expect(try fixture.shapes() == [[b, 3], [], []])
    let axes = try fixture.relations()
    #expect(axes.same(axes.input(0, 1), axes.output(0, 1)))
    #expect(axes.relations.contractions.count == 1)
    #expect(axes.relations.contractions[0].isActivationAlone)
    let activation = NodeFixture.Operand.weight(.floats([0, 1, 0], shape: [1, 3]))
    let (states, sums) = try NodeFixture("DynamicQuantizeLinear", [activation], outputs: 3).states()
    #expect(sums.first?.terms == [.zero, .unknown, .zero])
    #expect(sums.first?.consumerZero == [false, false, false])
    // Its zeros are zero points: as a number nothing is known of them.
    #expect(states[0]?.worst == .unknown)
    #expect(states[0]?.states.contains(.zero) == false)
  }

  @Test("Integer products count from the zero point")
  func integers() throws {
    let weight = Weight.literal(bytes: [7, 7, 7, 9], type: .u8, shape: [2, 2])
    let point = Weight.literal(bytes: [7], type: .u8, shape: [])
    let operands: [NodeFixture.Operand] = [.typed(.u8, [b, 2]), .weight(weight), .absent, .weight(point)]
    let (states, sums) = try NodeFixture("MatMulInteger", operands).states()
    #expect(sums.first?.terms == [.zero, .unknown])
    #expect(states[0]?.states == [.zero, .unknown])
  }

  @Test("A matrix of 4 bits is zero where every number is its zero point; blocks are contracted whole")
  func bits() throws {
    // Two rows of one block of 16: the first holds 8 everywhere, the second has a 9 at its first place.
    let bytes = [UInt8](repeating: 0x88, count: 8) + [0x89] + [UInt8](repeating: 0x88, count: 7)
    let fixture = NodeFixture(
      "MatMulNBits", domain: "com.microsoft",
      [.shape([b, 16]), .weight(.literal(bytes: bytes, type: .u8, shape: [2, 1, 8])), matrix([[1], [1]])],
      ["K": .integer(16), "N": .integer(2), "bits": .integer(4), "block_size": .integer(16)])
    #expect(try fixture.shapes() == [[b, 2]])
    let (states, sums) = try fixture.states()
    #expect(sums.first?.terms == [.unknown] + [ElementState](repeating: .zero, count: 15))
    #expect(states[0]?.states == [.zero, .unknown])
  }

  @Test("must not fire: what is not finite in a weight marks its term and its column")
  func poisoned() throws {
    let (states, sums) = try NodeFixture("MatMul", [.shape([b, 2]), matrix([[.nan, 0], [0, 0]])]).states()
    #expect(sums.first?.terms == [.poisoned, .zero])
    #expect(states[0]?.states == [.poisoned, .zero])
  }

  @Test("Shares that add up to one of one number give that number; others do not")
  func shares() throws {
    var builder = GraphBuilder(name: "shares")
    let scores = builder.input("scores", ValueType(.f32, [b, 1, 3]))
    let values = builder.initializer("values", .floats([2, 0, 2, 0, 2, 5], shape: [1, 3, 2]))
    let shares = try builder.add("Softmax", [scores])
    let y = try builder.add("MatMul", [shares, values])
    let z = try builder.add("MatMul", [try builder.add("Mul", [shares, shares]), values])
    let analysis = try ZeroAnalysis(builder.graph, keeping: [y, z], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[y]?.states == [.constant, .unknown])
    #expect(analysis.states[y]?.constants[0] == 2)
    #expect(analysis.states[z]?.states == [.unknown, .unknown])
  }
}
