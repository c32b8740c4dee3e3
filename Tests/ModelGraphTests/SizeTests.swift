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

  @Test("Symbols may be zero: only a constant term makes a sum certainly positive")
  func positive() throws {
    #expect(!batch.isPositive)
    #expect(batch.isNonNegative)
    #expect(batch.adding(1)?.isPositive == true)
    #expect(!Size(0).isPositive)
    #expect(batch.subtracting(1)?.isNonNegative == false)
    #expect(batch.subtracting(1)?.lowerBound == -1)
    #expect(Size(3).subtracting(batch)?.upperBound == 3)
    let difference = try #require(batch.subtracting(past))
    #expect(difference.upperBound == nil)
    #expect(difference.lowerBound == nil)
  }

  @Test("Division by a sum undoes multiplication by it")
  func longDivision() throws {
    let sum = try #require(batch.adding(past))
    let next = try #require(sum.adding(1))
    let dozens = try #require(batch.multiplied(by: 12))
    let rows = try #require(dozens.multiplied(by: sum))
    #expect(rows.dividedExactly(by: sum) == dozens)
    #expect(dozens.dividedExactly(by: 6) == batch.multiplied(by: 2))
    #expect(rows.dividedExactly(by: next) == nil)
    let square = try #require(sum.multiplied(by: sum))
    #expect(square.subtracting(1)?.dividedExactly(by: next) == sum.subtracting(1))
  }
}
