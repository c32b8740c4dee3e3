import ModelGraph
import TensorStorage
import Testing

private let b = Size.symbol("batch")
private let s = Size.symbol("sequence")

private func list(_ values: Int64...) -> NodeFixture.Operand { .weight(.integers(values, shape: [values.count])) }

@Suite("Operators in the forms of their versions")
struct OperatorVersionTests {
  @Test("Axes are an attribute in old versions and an operand in new ones")
  func axes() throws {
    let attribute: [String: Attribute] = ["axes": .integers([1])]
    #expect(try NodeFixture("Unsqueeze", version: 11, [.shape([b, s])], attribute).shapes() == [[b, 1, s]])
    #expect(try NodeFixture("Unsqueeze", version: 13, [.shape([b, s]), list(1)]).shapes() == [[b, 1, s]])
    #expect(try NodeFixture("Squeeze", version: 11, [.shape([b, 1, s])], attribute).shapes() == [[b, s]])
    #expect(try NodeFixture("Squeeze", version: 13, [.shape([b, 1, s]), list(-2)]).shapes() == [[b, s]])
    for (op, version) in [("ReduceMean", 17), ("ReduceSum", 12)] {
      #expect(try NodeFixture(op, version: version, [.shape([b, s, 8])], attribute).shapes() == [[b, 1, 8]])
      let new = NodeFixture(op, version: 18, [.shape([b, s, 8]), list(1)], ["keepdims": .integer(0)])
      #expect(try new.shapes() == [[b, 8]])
    }
    let none: [String: Attribute] = ["noop_with_empty_axes": .integer(1)]
    #expect(try NodeFixture("ReduceSum", version: 18, [.shape([b, s])], none).shapes() == [[b, s]])
    #expect(try NodeFixture("ReduceSum", version: 18, [.shape([b, s])]).shapes() == [[1, 1]])
  }

  @Test("Split takes sizes as an attribute, as an operand, or equal parts")
  func split() throws {
    let fixtures = [
      NodeFixture(
        "Split", version: 11, [.shape([b, 12])], ["axis": .integer(1), "split": .integers([6, 4, 2])], outputs: 3),
      NodeFixture("Split", version: 13, [.shape([b, 12]), list(6, 4, 2)], ["axis": .integer(-1)], outputs: 3),
    ]
    for fixture in fixtures {
      #expect(try fixture.shapes() == [[b, 6], [b, 4], [b, 2]])
      let relations = try fixture.relations()
      #expect(
        relations.relations.table.leaves(relations.input(0, 1)[0]).map(relations.relations.table.size) == [6, 4, 2])
      #expect(relations.pins(relations.input(0, 1)).isEmpty)
    }
    let equal = NodeFixture("Split", [.shape([b, 11])], ["axis": .integer(1), "num_outputs": .integer(3)], outputs: 3)
    #expect(try equal.shapes() == [[b, 4], [b, 4], [b, 3]])
  }

  @Test("Slice takes bounds as attributes below version 10")
  func slice() throws {
    let attributes: [String: Attribute] = ["starts": .integers([2]), "ends": .integers([6]), "axes": .integers([1])]
    let old = NodeFixture("Slice", version: 9, [.shape([b, 10])], attributes)
    #expect(try old.shapes() == [[b, 4]])
    let relations = try old.relations()
    #expect(
      relations.relations.table.leaves(relations.input(0, 1)[0]).map(relations.relations.table.size) == [2, 4, 4])
    // Before 2^31 - 1 comes the end of any axis: the axis is whole.
    let whole = NodeFixture("Slice", [.shape([b, s]), list(0), list(9_223_372_036_854_775_807), list(1)])
    #expect(try whole.shapes() == [[b, s]])
    let last = NodeFixture("Slice", [.shape([b, s]), list(-1), list(9_223_372_036_854_775_807), list(1)])
    #expect(try last.shapes() == [[b, 1]])
    let backwards = NodeFixture("Slice", [.shape([5]), list(4), list(-6), list(0), list(-2)])
    #expect(try backwards.shapes() == [[3]])
  }

  @Test("Softmax below version 13 sums over all axes from axis 1 on")
  func softmax() throws {
    let old = try NodeFixture("Softmax", version: 12, [.shape([2, 3, 4])]).relations()
    #expect(old.pins(old.input(0, 0)).isEmpty)
    #expect(old.pins(old.input(0, 1)) == [.softmax])
    #expect(old.pins(old.input(0, 2)) == [.softmax])
    let new = try NodeFixture("Softmax", version: 13, [.shape([2, 3, 4])]).relations()
    #expect(new.pins(new.input(0, 1)).isEmpty)
    #expect(new.pins(new.input(0, 2)) == [.softmax])
  }

  @Test("Clip's bounds are attributes below version 11")
  func clip() throws {
    let numbers = NodeFixture.Operand.weight(.floats([-1, 0, 5], shape: [3]))
    let old = NodeFixture("Clip", version: 10, [numbers], ["min": .float(0), "max": .float(2)])
    #expect(try old.states().states[0]?.states == [.zero, .zero, .constant])
    let one = NodeFixture.Operand.weight(.floats([1], shape: []))
    #expect(try NodeFixture("Clip", [numbers, one]).states().states[0]?.states == [.constant, .constant, .constant])
  }

  @Test("Reshape, Flatten, Expand, Tile, Pad, and their likes give the shapes of the definitions")
  func layouts() throws {
    #expect(
      try NodeFixture("Reshape", version: 4, [.shape([b, 6])], ["shape": .integers([0, 2, -1])]).shapes() == [
        [b, 2, 3]
      ])
    #expect(try NodeFixture("Flatten", [.shape([b, 3, 4])]).shapes() == [[b, 12]])
    #expect(try NodeFixture("Expand", [.shape([3, 1]), list(2, 1, 6)]).shapes() == [[2, 3, 6]])
    #expect(try NodeFixture("Tile", [.shape([b, 3]), list(1, 2)]).shapes() == [[b, 6]])
    #expect(try NodeFixture("Pad", [.shape([b, 3]), list(0, 1, 0, 2)]).shapes() == [[b, 6]])
    #expect(
      try NodeFixture("Pad", version: 2, [.shape([b, 3])], ["pads": .integers([0, 1, 0, 2])]).shapes() == [[b, 6]])
    #expect(
      try NodeFixture("DepthToSpace", [.shape([b, 8, 3, 5])], ["blocksize": .integer(2)]).shapes() == [[b, 2, 6, 10]])
    #expect(
      try NodeFixture("SpaceToDepth", [.shape([b, 2, 6, 10])], ["blocksize": .integer(2)]).shapes() == [[b, 8, 3, 5]])
    #expect(
      try NodeFixture("TopK", version: 9, [.shape([b, 7])], ["k": .integer(3)], outputs: 2).shapes() == [
        [b, 3], [b, 3],
      ])
    #expect(
      try NodeFixture("OneHot", [.shape([b]), list(5), .weight(.floats([0, 1], shape: [2]))]).shapes() == [[b, 5]])
    #expect(try NodeFixture("GatherND", [.shape([b, 4, 5]), .shape([s, 2])]).shapes() == [[s, 5]])
    #expect(try NodeFixture("Range", [list(0), list(7), list(2)]).shapes() == [[4]])
  }

  @Test("must not fire: shapes that symbols can still make agree are not refused, shapes that they cannot are")
  func agreement() throws {
    #expect(try NodeFixture("Reshape", [.shape([b, s]), list(2, 3)]).shapes() == [[2, 3]])
    #expect(throws: (any Error).self) { try NodeFixture("Reshape", [.shape([2, 3]), list(5, 1)]).shapes() }
    #expect(throws: (any Error).self) { try NodeFixture("Reshape", [.shape([2, 3]), list(-1, -1)]).shapes() }
  }

  @Test(
    "Convolution and pooling count the places of their windows",
    arguments: [
      (["strides": Attribute.integers([2, 2]), "pads": .integers([1, 1, 1, 1])], 8, 4),
      (["dilations": Attribute.integers([2, 2])], 8, 4), (["auto_pad": Attribute.string("SAME_UPPER")], 8, 8),
      ([:], 8, 6),
    ] as [([String: Attribute], Int, Int)])
  func windows(_ attributes: [String: Attribute], _ places: Int, _ expected: Int) throws {
    let operands: [NodeFixture.Operand] = [
      .shape([b, 3, Size(places), Size(places)]), .weight(.zeros(type: .f32, shape: [5, 3, 3, 3])),
    ]
    #expect(try NodeFixture("Conv", operands, attributes).shapes() == [[b, 5, Size(expected), Size(expected)]])
    var pooled = attributes
    pooled["kernel_shape"] = .integers([3, 3])
    #expect(
      try NodeFixture("MaxPool", [operands[0]], pooled).shapes() == [[b, 3, Size(expected), Size(expected)]])
  }

  @Test("A window that rounds up does not start behind the places: 6 places, 3 wide, stride 2, padding 1 on one side")
  func roundingUp() throws {
    let attributes: [String: Attribute] = [
      "kernel_shape": .integers([3]), "strides": .integers([2]), "ceil_mode": .integer(1),
    ]
    #expect(try NodeFixture("MaxPool", [.shape([b, 3, 6])], attributes).shapes() == [[b, 3, 3]])
    #expect(try NodeFixture("MaxPool", [.shape([b, 3, 7])], attributes).shapes() == [[b, 3, 3]])
  }
}
