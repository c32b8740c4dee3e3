import ModelGraph
import PollardBase
import TensorStorage
import Testing

private let b = Size.symbol("batch")
private let s = Size.symbol("sequence")

@Suite("Shape arithmetic in graphs")
struct ShapeArithmeticTests {
  private func pins(_ builder: GraphBuilder, _ value: ValueID, _ axis: Int) throws -> Set<PinReason> {
    var graph = builder.graph
    let relations = AxisRelations(graph, inference: try ShapeInference.inferAll(&graph))
    let all = relations.table.leafPins()
    let axes = try #require(relations.valueAxes[value])
    return Set(axes[axis].flatMap(relations.table.leaves).flatMap { all[$0] ?? [] }.map(\.reason).filter { !$0.isSoft })
  }

  @Test("The idiom ConstantOfShape, Mul(-1), Equal, Where, Expand is decided: no extent is -1")
  func idiom() throws {
    var builder = GraphBuilder(name: "idiom")
    let x = builder.input("x", ValueType(.f32, [b, 1, 1, s]))
    let y = builder.input("y", ValueType(.f32, [b, 4, s, 8]))
    let shape = try builder.add("Shape", [y], ["end": .integer(3)])
    let target = try builder.add("Concat", [shape, builder.integers([-1])], ["axis": .integer(0)])
    let ones = try builder.add(
      "ConstantOfShape", [builder.integers([4])], ["value": .tensor(.integers([1], shape: [1]))])
    let minus = try builder.add("Mul", [ones, builder.integerScalar(-1)])
    let isOpen = try builder.add("Equal", [target, minus])
    let closed = try builder.add("Where", [isOpen, ones, target])
    let result = try builder.add("Expand", [x, closed])
    #expect(builder.type(of: result)?.shape == [b, 4, s, s])
    #expect(try pins(builder, y, 1).isEmpty, "a comparison whose result stays in shapes pins nothing")
  }

  @Test("A size that becomes a number of the model is pinned; one that only shapes is not")
  func origins() throws {
    var builder = GraphBuilder(name: "origins")
    let x = builder.input("x", ValueType(.f32, [b, 4, s, 8]))
    let size = try builder.add("Gather", [try builder.add("Shape", [x]), builder.integerScalar(3)])
    let number = try builder.add("Cast", [size], ["to": .onnxType(.f32)])
    _ = try builder.add("Div", [x, try builder.add("Sqrt", [number])])
    let heads = try builder.add("Slice", [try builder.add("Shape", [x]), builder.integers([1]), builder.integers([2])])
    let target = try builder.add(
      "Concat", [builder.integers([0]), heads, builder.integers([-1])], ["axis": .integer(0)])
    let reshaped = try builder.add("Reshape", [x, target])
    let flat = try #require(s.multiplied(by: 8))
    #expect(builder.type(of: reshaped)?.shape == [b, 4, flat])
    #expect(try pins(builder, x, 3) == [.sizeAsValue])
    #expect(try pins(builder, x, 1).isEmpty)
  }

  @Test("Folding batch into heads and back divides sums of sizes")
  func folding() throws {
    let total = try #require(Size.symbol("past").adding(s))
    var builder = GraphBuilder(name: "folding")
    let x = builder.input("x", ValueType(.f32, [b, 12, total, 64]))
    let shape = try builder.add("Shape", [x])
    let rows = try builder.add("Slice", [shape, builder.integers([2]), builder.integers([4])])
    let folded = try builder.add(
      "Reshape", [x, try builder.add("Concat", [builder.integers([-1]), rows], ["axis": .integer(0)])])
    #expect(builder.type(of: folded)?.shape == [try #require(b.multiplied(by: 12)), total, 64])
    let back = try builder.add("Reshape", [folded, shape])
    #expect(builder.type(of: back)?.shape == [b, 12, total, 64])
  }

  @Test("Equal computations outside of the ring give equal sizes, and the ends of unequal extents still agree")
  func fresh() throws {
    var builder = GraphBuilder(name: "fresh")
    let x = builder.input("x", ValueType(.f32, [b, s, 24]))
    let length = try builder.add(
      "Slice", [try builder.add("Shape", [x]), builder.integers([1]), builder.integers([2])])
    let first = try builder.add("Min", [length, builder.integers([40])])
    let second = try builder.add("Min", [length, builder.integers([40])])
    let batch = try builder.add("Slice", [try builder.add("Shape", [x]), builder.integers([0]), builder.integers([1])])
    let target = try builder.add("Concat", [batch, first, builder.integers([24])], ["axis": .integer(0)])
    let again = try builder.add("Concat", [batch, second, builder.integers([24])], ["axis": .integer(0)])
    let y = try builder.add("Reshape", [x, target])
    let z = try builder.add("Reshape", [x, again])
    #expect(builder.type(of: y)?.shape == builder.type(of: z)?.shape)
    #expect(try pins(builder, x, 2).isEmpty)
    #expect(try pins(builder, x, 1) == [.unequal])
  }

  @Test("A rotary half that is computed from the head size pins it; a literal one splits it")
  func halves() throws {
    var builder = GraphBuilder(name: "halves")
    let x = builder.input("x", ValueType(.f32, [b, 4, s, 8]))
    let y = builder.input("y", ValueType(.f32, [b, 4, s, 8]))
    let size = try builder.add("Slice", [try builder.add("Shape", [x]), builder.integers([3]), builder.integers([4])])
    let half = try builder.add("Div", [size, builder.integers([2])])
    let axes = builder.integers([3])
    let part = try builder.add("Slice", [x, builder.integers([0]), half, axes])
    #expect(builder.type(of: part)?.shape == [b, 4, s, 4])
    _ = try builder.add("Slice", [y, builder.integers([0]), builder.integers([4]), axes])
    #expect(try pins(builder, x, 3) == [.sizeAsValue])
    #expect(try pins(builder, y, 3).isEmpty)
  }

  @Test("A conditional gives what both branches share")
  func conditional() throws {
    var builder = GraphBuilder(name: "conditional")
    let condition = builder.input("condition", ValueType(.bool, []))
    let x = builder.input("x", ValueType(.f32, [b, 3]))
    let zeros = builder.initializer("zeros", .zeros(type: .f32, shape: [1, 3]))
    let columns = builder.initializer("columns", .floats([1, 0, 1], shape: [3]))
    let a = try builder.add("Mul", [x, columns])
    let c = try builder.add("Mul", [x, zeros])
    let y = try builder.add("If", [condition, a, c])
    #expect(builder.type(of: y)?.shape == [b, 3])
    let analysis = try ZeroAnalysis(builder.graph, keeping: [y], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[y]?.states == [.unknown, .zero, .unknown])
    #expect(try pins(builder, x, 1).isEmpty)
  }

  @Test("The states of long static sequences are not held element by element")
  func longSequences() throws {
    var builder = GraphBuilder(name: "long")
    let q = builder.input("q", ValueType(.f32, [1, 64, 65536, 64]))
    let scores = try builder.add("MatMul", [q, try builder.add("Transpose", [q], ["perm": .integers([0, 1, 3, 2])])])
    let y = try builder.add("MatMul", [try builder.add("Softmax", [scores]), q])
    let z = try builder.add("Relu", [y])
    let analysis = try ZeroAnalysis(builder.graph, keeping: [z], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[z]?.worst == .unknown)
  }
}
