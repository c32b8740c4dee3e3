import ModelGraph
import Testing

@Suite("Factors of axes")
struct FactorTableTests {
  @Test("An axis of extent 1 has no factors")
  func unit() {
    var table = FactorTable()
    #expect(table.makeAxis(1).isEmpty)
    #expect(table.makeAxis(2).count == 1)
  }

  @Test("768 joined with 12 by 64 becomes their product, most significant first")
  func product() throws {
    var table = FactorTable()
    let (whole, heads, size) = (table.make(768), table.make(12), table.make(64))
    table.unify([whole], [heads, size], node: 0)
    #expect(table.flattened([whole]) == [table.root(heads), table.root(size)])
    #expect(table.leaves(whole).count == 2)
    #expect(table.leafPins().isEmpty)
  }

  @Test("Equal extents are never confused: the walk follows row-major order")
  func equalExtents() {
    var table = FactorTable()
    let (a, b) = (table.make(4), table.make(4))
    let whole = table.make(16)
    table.unify([whole], [a, b], node: 0)
    #expect(table.root(a) != table.root(b))
    #expect(table.flattened([whole]) == [table.root(a), table.root(b)])
  }

  @Test("Two ways of splitting refine each other: 24 as 4 by 6 and as 8 by 3 share a factor of 2")
  func refinement() {
    var table = FactorTable()
    let (four, six, eight, three) = (table.make(4), table.make(6), table.make(8), table.make(3))
    table.unify([four, six], [eight, three], node: 0)
    #expect(table.flattened([eight]).map(table.size) == [4, 2])
    #expect(table.flattened([six]).map(table.size) == [2, 3])
    #expect(table.flattened([eight]).last == table.flattened([six]).first)
    #expect(table.leafPins().isEmpty)
  }

  @Test("must not join: extents without a common refinement are pinned")
  func incompatible() {
    var table = FactorTable()
    let (four, nine, six, six2) = (table.make(4), table.make(9), table.make(6), table.make(6))
    table.unify([four, nine], [six, six2], node: 7)
    #expect(table.leafPins().values.allSatisfy { $0 == [Pin(.unequal, node: 7)] })
    #expect(table.leafPins().count == 4)
    let (a, b) = (table.make(5), table.make(6))
    table.unify([a], [b], node: 8)
    #expect(table.pins(a) == [Pin(.unequal, node: 8)])
    #expect(table.pins(b) == [Pin(.unequal, node: 8)])
  }

  @Test("Parts found after a pin inherit it")
  func inherited() {
    var table = FactorTable()
    let whole = table.make(12)
    table.pin([whole], Pin(.norm, node: 1))
    let (a, b) = (table.make(3), table.make(4))
    table.unify([whole], [a, b], node: 2)
    #expect(table.leafPins()[table.root(a)] == [Pin(.norm, node: 1)])
    #expect(table.leafPins()[table.root(b)] == [Pin(.norm, node: 1)])
  }

  @Test("A fused axis is a sum, and what its pieces turn out to be is found in it")
  func sum() {
    var table = FactorTable()
    let fused = table.make(96)
    let pieces = (0..<3).map { _ in table.make(32) }
    table.unify([fused], sumOf: pieces.map { [$0] }, node: 0)
    let heads = table.make(4)
    for piece in pieces {
      let size = table.make(8)
      table.unify([piece], [heads, size], node: 1)
    }
    #expect(table.leaves(fused).filter { $0 == table.root(heads) }.count == 3)
    #expect(table.size(of: [fused]) == 96)
    #expect(table.leafPins().isEmpty)
  }

  @Test("Two cuts of one axis refine each other: 10 as 4 + 6 and as 7 + 3")
  func sums() {
    var table = FactorTable()
    let whole = table.make(10)
    let (four, six, seven, three) = (table.make(4), table.make(6), table.make(7), table.make(3))
    table.unify([whole], sumOf: [[four], [six]], node: 0)
    table.unify([whole], sumOf: [[seven], [three]], node: 1)
    #expect(table.leaves(whole).map(table.size) == [4, 3, 3])
    #expect(table.leaves(seven).map(table.size) == [4, 3])
    #expect(table.leaves(six).map(table.size) == [3, 3])
  }

  @Test("A product cut into ranges is cut along its first factor")
  func productIntoSum() {
    var table = FactorTable()
    let whole = table.make(48)
    let (heads, size) = (table.make(6), table.make(8))
    table.unify([whole], [heads, size], node: 0)
    let pieces = [table.make(32), table.make(8), table.make(8)]
    table.unify([whole], sumOf: pieces.map { [$0] }, node: 1)
    #expect(table.leaves(heads).map(table.size) == [4, 1, 1])
    #expect(table.flattened([pieces[0]]).map(table.size) == [4, 8])
    #expect(table.flattened([pieces[1]]) == [table.root(size)])
    #expect(table.leafPins().isEmpty)
  }

  @Test("must not join: a factor with what contains it")
  func cycle() {
    var table = FactorTable()
    let (whole, part, rest) = (table.make(Size.symbol("n")), table.make(Size.symbol("n")), table.make(1))
    table.unify([whole], [part, rest], node: 0)
    table.unify([whole], [part], node: 1)
    #expect(table.leafPins().isEmpty, "they are one class already")
  }

  @Test("Symbolic extents divide as polynomials: batch times 12 by 64")
  func symbolic() throws {
    var table = FactorTable()
    let batch = Size.symbol("batch")
    let tokens = try #require(batch.multiplied(by: 768))
    let whole = table.make(tokens)
    let (b, heads, size) = (table.make(batch), table.make(12), table.make(64))
    table.unify([whole], [b, heads, size], node: 0)
    #expect(table.flattened([whole]) == [b, heads, size].map(table.root))
  }

  @Test("An axis joined with itself forty times ends in a pin, not in 2^40 parts")
  func doubling() {
    var table = FactorTable()
    var axis = table.makeAxis(Size(2))
    for step in 2...41 {
      let whole = table.makeAxis(Size(1 << step))
      table.unify(whole, sumOf: [axis, axis], node: 0)
      axis = whole
    }
    table.pin(axis, Pin(.graphOutput, node: nil))
    #expect(!table.leafPins().isEmpty)
  }
}
