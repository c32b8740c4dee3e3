import TensorStorage
import Testing

@Suite("Conversion of elements")
struct ConversionTests {
  private func floats(_ codes: [UInt16], _ type: ElementType) throws -> [Float] {
    try Weight.literal(bytes: littleEndian(codes), type: type, shape: [codes.count]).cast(to: .f32).floats()
  }

  private func codes(_ values: [Float], _ type: ElementType) throws -> [UInt16] {
    let bytes = try Weight.floats(values, shape: [values.count]).cast(to: type).bytes()
    if type.bitCount == 8 { return bytes.map(UInt16.init) }
    return stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
  }

  @Test("All half-precision codes have the value Float16 gives them, and come back")
  func halfIsExact() throws {
    let all = (0...UInt16.max).map { $0 }
    let values = try floats(all, .f16)
    for code in all {
      let expected = Float(Float16(bitPattern: code))
      let value = values[Int(code)]
      #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN), "code \(code)")
    }
    let back = try codes(values, .f16)
    #expect(
      all.allSatisfy { back[Int($0)] == $0 || (values[Int($0)].isNaN && Float16(bitPattern: back[Int($0)]).isNaN) })
  }

  @Test("All bfloat16 codes are the upper half of their value, and come back")
  func brainFloatIsExact() throws {
    let all = (0...UInt16.max).map { $0 }
    let values = try floats(all, .bf16)
    #expect(all.allSatisfy { values[Int($0)].isNaN || values[Int($0)].bitPattern == UInt32($0) << 16 })
    #expect(all.allSatisfy { values[Int($0)].isNaN == ($0 & 0x7FFF > 0x7F80) })
    let back = try codes(values, .bf16)
    #expect(all.allSatisfy { back[Int($0)] == $0 || (values[Int($0)].isNaN && back[Int($0)] & 0x7FFF > 0x7F80) })
  }

  @Test("Half precision rounds as Float16 does, between all neighbours")
  func halfRounds() throws {
    var values: [Float] = []
    for code in 0..<UInt16(0x7C00) {
      let low = Float(Float16(bitPattern: code))
      let high = code == 0x7BFF ? 65536 : Float(Float16(bitPattern: code + 1))
      let middle = (low + high) / 2
      values += [middle.nextDown, middle, middle.nextUp, -middle]
    }
    values += [.infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 1e-10, -0.0]
    let rounded = try codes(values, .f16)
    for (value, code) in zip(values, rounded) { #expect(Float16(value).bitPattern == code, "\(value)") }
  }

  @Test("Double precision rounds to half precision once, as Float16 does, around all ties")
  func doublesRoundToHalf() throws {
    var values: [Double] = []
    for code in 0..<UInt16(0x7BFF) {
      let middle = (Double(Float16(bitPattern: code)) + Double(Float16(bitPattern: code + 1))) / 2
      values += [middle.nextDown, middle, middle.nextUp, -middle.nextUp]
    }
    let bytes = littleEndian(values.map(\.bitPattern))
    let rounded = try Weight.literal(bytes: bytes, type: .f64, shape: [values.count]).cast(to: .f16).bytes()
    #expect(rounded == littleEndian(values.map { Float16($0).bitPattern }))
  }

  @Test("Bfloat16 rounds to nearest and ties to even, between all neighbours")
  func brainFloatRounds() throws {
    var values: [Float] = []
    var expected: [UInt16] = []
    for code in 0..<UInt16(0x7F80) {
      let bits = UInt32(code) << 16
      values += [bits | 0x7FFF, bits | 0x8000, bits | 0x8001, bits | 0x8000_8000].map { Float(bitPattern: $0) }
      let even = code % 2 == 0 ? code : code + 1
      expected += [code, even, code + 1, even | 0x8000]
    }
    #expect(try codes(values, .bf16) == expected)
  }

  @Test("Rounding happens once, however wide the source is")
  func roundsOnce() throws {
    // 1 + 2^-11 is half-way between two halves; what is above it decides, though single precision cannot hold it.
    let double = Weight.literal(bytes: littleEndian([(1 + 0x1p-11 + 0x1p-40).bitPattern]), type: .f64, shape: [1])
    #expect(try double.cast(to: .f16).bytes() == [0x01, 0x3C])
    // 2^40 + 2^32 is half-way between two bfloat16 numbers, 2^40 and 2^40 + 2^33.
    let integers = Weight.integers([1 << 40 + 1 << 32 + 1, 1 << 40 + 1 << 32, -(1 << 40 + 1 << 32 + 1)], shape: [3])
    #expect(try integers.cast(to: .bf16).bytes() == littleEndian([UInt16(0x5381), 0x5380, 0xD381]))
    #expect(try Weight.integers([1 << 24 + 1, 1 << 24 + 3], shape: [2]).floats() == [16_777_216, 16_777_220])
  }

  @Test(
    "Eight-bit floats have the published extremes",
    arguments: [
      (ElementType.f8e4m3, 0x7E, Float(448), Float(0x1p-9), 0x7F), (.f8e5m2, 0x7B, 57344, 0x1p-16, 0x7C),
      (.f8e4m3fnuz, 0x7F, 240, 0x1p-10, 0x80), (.f8e5m2fnuz, 0x7F, 57344, 0x1p-17, 0x80),
    ] as [(ElementType, UInt8, Float, Float, UInt16)])
  func narrowExtremes(type: ElementType, largestCode: UInt8, largest: Float, smallest: Float, beyond: UInt16) throws {
    let all = (0...UInt8.max).map { $0 }
    let values = try Weight.literal(bytes: all, type: type, shape: [256]).floats()
    #expect(values[Int(largestCode)] == largest)
    #expect(values[1] == smallest)
    #expect(try codes([largest * 2, .nan], type)[0] == beyond)
    #expect(try floatsOf(type, codes([.nan], type)).allSatisfy(\.isNaN))
    let back = try codes(values, type)
    #expect(all.allSatisfy { values[Int($0)].isNaN || back[Int($0)] == UInt16($0) })
    // Between neighbours the tie goes to the even code.
    for code in 0..<largestCode {
      let middle = (values[Int(code)] + values[Int(code) + 1]) / 2
      let even = UInt16(code % 2 == 0 ? code : code + 1)
      #expect(
        try codes([middle.nextDown, middle, middle.nextUp], type) == [UInt16(code), even, UInt16(code) + 1],
        "code \(code)")
    }
  }

  private func floatsOf(_ type: ElementType, _ codes: [UInt16]) throws -> [Float] {
    try Weight.literal(bytes: codes.map { UInt8($0) }, type: type, shape: [codes.count]).floats()
  }

  @Test("Towards integers numbers are cut off and held in range, towards bool only zero is false")
  func integersAreHeld() throws {
    let values = Weight.floats([-1.9, 1.9, 300, -300, .nan, .infinity, -0.0], shape: [7])
    #expect(try values.cast(to: .i8).bytes().map { Int8(bitPattern: $0) } == [-1, 1, 127, -128, 0, 127, 0])
    #expect(try values.cast(to: .u8).bytes() == [0, 1, 255, 0, 0, 255, 0])
    #expect(try values.cast(to: .bool).bytes() == [1, 1, 1, 1, 1, 1, 0])
  }

  @Test("Powers of two decode from their exponent")
  func scalesDecode() throws {
    let values = try Weight.literal(bytes: [0, 127, 130, 254, 255], type: .f8e8m0, shape: [5]).floats()
    #expect(values.dropLast() == [0x1p-127, 1, 8, 0x1p127])
    #expect(values[4].isNaN)
  }
}
