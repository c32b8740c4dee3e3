import TensorStorage

/// A tensor in memory on which every operation is done at once and element by element: what weights are compared with.
struct NaiveTensor {
  var type: ElementType
  var extents: [Int]
  var elements: [[UInt8]]

  var bytes: [UInt8] { elements.flatMap { $0 } }

  init(type: ElementType, extents: [Int], elements: [[UInt8]]) {
    self.type = type
    self.extents = extents
    self.elements = elements
  }

  init(type: ElementType, extents: [Int], bytes: [UInt8]) {
    let size = type.bitCount / 8
    let elements = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<$0 + size]) }
    self.init(type: type, extents: extents, elements: elements)
  }

  static func positions(_ extents: [Int]) -> [[Int]] {
    extents.reduce([[]]) { prefixes, extent in prefixes.flatMap { prefix in (0..<extent).map { prefix + [$0] } } }
  }

  subscript(position: [Int]) -> [UInt8] {
    var index = 0
    for (axis, coordinate) in position.enumerated() { index = index * extents[axis] + coordinate }
    return elements[index]
  }

  private func gathering(_ extents: [Int], _ source: ([Int]) -> [Int]) -> NaiveTensor {
    NaiveTensor(type: type, extents: extents, elements: Self.positions(extents).map { self[source($0)] })
  }

  func keeping(_ indices: [Int], axis: Int) -> NaiveTensor {
    var result = extents
    result[axis] = indices.count
    return gathering(result) { position in
      var source = position
      source[axis] = indices[position[axis]]
      return source
    }
  }

  func transposed(_ permutation: [Int]) -> NaiveTensor {
    gathering(permutation.map { extents[$0] }) { position in
      var source = position
      for (axis, from) in permutation.enumerated() { source[from] = position[axis] }
      return source
    }
  }

  func reshaped(_ extents: [Int]) -> NaiveTensor { NaiveTensor(type: type, extents: extents, elements: elements) }

  func zeroing(_ zeroed: [Int], axis: Int) -> NaiveTensor {
    let zero = [UInt8](repeating: 0, count: type.bitCount / 8)
    let elements = Self.positions(extents).map { zeroed.contains($0[axis]) ? zero : self[$0] }
    return NaiveTensor(type: type, extents: extents, elements: elements)
  }

  static func concatenated(_ parts: [NaiveTensor], axis: Int) -> NaiveTensor {
    var extents = parts[0].extents
    extents[axis] = parts.map { $0.extents[axis] }.reduce(0, +)
    let elements = positions(extents).map { position in
      var inside = position
      for part in parts {
        if inside[axis] < part.extents[axis] { return part[inside] }
        inside[axis] -= part.extents[axis]
      }
      return []
    }
    return NaiveTensor(type: parts[0].type, extents: extents, elements: elements)
  }

  func cast(to target: ElementType) -> NaiveTensor {
    NaiveTensor(type: target, extents: extents, elements: elements.map { naiveCast($0, type, target) })
  }

  func combined(_ other: NaiveTensor, _ isProduct: Bool) -> NaiveTensor {
    let elements = Self.positions(extents).map { position in
      let place = zip(position, other.extents).map { $1 == 1 ? 0 : $0 }
      let a = self[position]
      let b = other[place]
      if type == .f64 {
        let (x, y) = (naiveValue(a, type), naiveValue(b, other.type))
        return littleEndian([(isProduct ? x * y : x + y).bitPattern])
      }
      let x = Float(naiveValue(a, type))
      let y = Float(naiveValue(b, other.type))
      return naiveCast(littleEndian([(isProduct ? x * y : x + y).bitPattern]), .f32, type)
    }
    return NaiveTensor(type: type, extents: extents, elements: elements)
  }
}

private func bits(_ bytes: [UInt8]) -> UInt64 {
  bytes.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
}

/// The number an element stands for; all types used here are exact in double precision.
func naiveValue(_ bytes: [UInt8], _ type: ElementType) -> Double {
  let code = bits(bytes)
  switch type {
  case .f64: return Double(bitPattern: code)
  case .f32: return Double(Float(bitPattern: UInt32(code)))
  case .f16: return Double(Float16(bitPattern: UInt16(code)))
  case .bf16: return Double(Float(bitPattern: UInt32(code) << 16))
  case .u8: return Double(code)
  case .i32: return Double(Int32(truncatingIfNeeded: code))
  default: fatalError("the reference knows no \(type)")
  }
}

/// One rounding from the exact value, done the slow way for bf16: by distance to the two neighbours.
func naiveCast(_ bytes: [UInt8], _ source: ElementType, _ target: ElementType) -> [UInt8] {
  if source == target { return bytes }
  let value = naiveValue(bytes, source)
  switch target {
  case .f64: return littleEndian([value.bitPattern])
  case .f32: return littleEndian([Float(value).bitPattern])
  case .f16: return littleEndian([Float16(value).bitPattern])
  case .bf16:
    if value.isNaN { return [0xC0, 0x7F] }
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    let magnitude = value.magnitude
    // Codes of non-negative numbers ascend with the number; 0x7F80 stands for 2^128 here.
    func number(_ code: UInt16) -> Double {
      code == 0x7F80 ? 0x1p128 : Double(Float(bitPattern: UInt32(code) << 16))
    }
    if magnitude >= 0x1p128 { return littleEndian([sign | 0x7F80]) }
    var low: UInt16 = 0
    var high: UInt16 = 0x7F80
    while high - low > 1 {
      let middle = (low + high) / 2
      if number(middle) <= magnitude { low = middle } else { high = middle }
    }
    let below = magnitude - number(low)
    let above = number(high) - magnitude
    let code = below < above || (below == above && low % 2 == 0) ? low : high
    return littleEndian([sign | code])
  case .u8: return [value.isNaN ? 0 : UInt8(max(0, min(255, value.rounded(.towardZero))))]
  case .i32:
    let limited = max(-0x1p31, min(0x1p31 - 1, value.rounded(.towardZero)))
    return littleEndian([value.isNaN ? 0 : Int32(limited)])
  default: fatalError("the reference knows no \(target)")
  }
}

/// Whether two elements are the same bytes or both NaN.
func isSame(_ a: [UInt8], _ b: [UInt8], _ type: ElementType) -> Bool {
  a == b || (type.isFloatingPoint && naiveValue(a, type).isNaN && naiveValue(b, type).isNaN)
}
