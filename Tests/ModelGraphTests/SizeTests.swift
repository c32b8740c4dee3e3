import ModelGraph
import Testing

@Suite("Sizes")
struct SizeTests {
  private let batch = Size.symbol("batch")
  private let past = Size.symbol("past")

  @Test("Sums and products are polynomials in a fixed spelling")
  func arithmetic() throws {
    let sum = try #require(batch.adding(past))
    #expect(sum.multiplied(by: sum)?.description == "batch*batch+2*batch*past+past*past")
    #expect(sum.subtracting(past) == batch)
    #expect(batch.subtracting(batch) == Size(0))
    #expect(Size(0).constant == 0)
    #expect(sum.constant == nil)
    #expect(sum.evaluated(["batch": 2, "past": 5]) == 7)
    #expect(sum.evaluated(["batch": 2]) == nil)
  }

  @Test("Division is exact or not at all")
  func division() throws {
    let product = try #require(batch.multiplied(by: 768))
    #expect(product.dividedExactly(by: 12) == batch.multiplied(by: 64))
    #expect(product.dividedExactly(by: batch) == Size(768))
    #expect(product.dividedExactly(by: 5) == nil)
    #expect(product.dividedExactly(by: past) == nil)
    #expect(product.dividedExactly(by: 0) == nil)
    let sum = try #require(batch.adding(past))
    #expect(sum.dividedExactly(by: sum) == Size(1))
    #expect(Size(12).dividedExactly(by: 4) == Size(3))
  }

  @Test("Overflow gives no size instead of a trap")
  func overflow() {
    #expect(Size(.max).adding(1) == nil)
    #expect(Size(.max).multiplied(by: 2) == nil)
    #expect(Size.product([Size(1 << 40), Size(1 << 40)]) == nil)
    #expect(batch.evaluated(["batch": .max]) == .max)
    #expect(batch.multiplied(by: batch)?.evaluated(["batch": .max]) == nil)
  }

  @Test("Only polynomials without negative terms are certainly positive")
  func positive() {
    #expect(batch.isPositive)
    #expect(!Size(0).isPositive)
    #expect(batch.subtracting(1)?.isPositive == false)
  }
}
