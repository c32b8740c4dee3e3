import TensorStorage

extension Tensor {
  /// A tensor from its bytes as files hold them: row-major, little-endian, several elements to a byte where they are narrow.
  ///
  /// - Parameter precision: in `rounded` the declared type of narrow floats is kept.
  /// - Returns: nil when there are too few bytes, or graphs do not compute with the type.
  package init?(bytes: [UInt8], type: ElementType, extents: [Int], precision: ComputingPrecision = .rounded) {
    guard let shape = Shape(checking: extents, of: type), type != .string,
      let computed = type.computed(in: precision), let declared = type.tracked(in: precision)
    else { return nil }
    let bits = shape.elementCount * type.bitCount
    guard bits <= bytes.count * 8 else { return nil }
    if type.bitCount < 8 {
      let codes = Self.codes(bytes, count: shape.elementCount, bits: type.bitCount)
      self = Self.decoded(codes, type, computed, extents).declared(declared)
      return
    }
    let weight = Weight.literal(bytes: Array(bytes.prefix(bits / 8)), type: type, shape: shape)
    let memory = Memory(pool: .init(threadCount: 1), buffers: BufferPool(), precision: precision)
    guard weight.type.canBeCast(to: computed), let result = try? Tensor(reading: weight, memory: memory) else {
      return nil
    }
    self = result
  }

  /// The codes of elements of less than a byte, lowest bits first.
  static func codes(_ bytes: [UInt8], count: Int, bits: Int) -> [Int] {
    (0..<count).map { index in
      (0..<bits).reduce(0) { sum, bit in
        let place = index * bits + bit
        return sum | Int(bytes[place / 8] >> UInt8(place % 8) & 1) << bit
      }
    }
  }

  /// A tensor of the values of codes of less than a byte.
  static func decoded(_ codes: [Int], _ type: ElementType, _ computed: ElementType, _ extents: [Int]) -> Tensor {
    let bits = type.bitCount
    switch computed {
    case .i8:
      let half = 1 << (bits - 1)
      return Tensor(
        elements: codes.map { Int8(truncatingIfNeeded: $0 >= half ? $0 - 2 * half : $0) }, extents: extents)
    case .f32: return Tensor(floats: codes.map { NarrowRounding.value(of: $0, type) }, extents: extents)
    case .f64: return Tensor(doubles: codes.map { Double(NarrowRounding.value(of: $0, type)) }, extents: extents)
    default: return Tensor(elements: codes.map { UInt8(truncatingIfNeeded: $0) }, extents: extents, as: .u8)
    }
  }
}
