import CTensorKernels

/// Conversion of stretches of elements, rounding to nearest, ties to even.
enum ElementConversion {
  /// Converts `count` elements. Buffers need no alignment and do not overlap.
  static func convert(
    _ count: Int, from source: UnsafeRawPointer, _ sourceType: ElementType, to target: UnsafeMutableRawPointer,
    _ targetType: ElementType
  ) {
    if sourceType == targetType, let size = sourceType.byteCount {
      target.copyMemory(from: source, byteCount: count * size)
    } else if targetType == .f32 {
      decode(count, from: source, sourceType, to: target)
    } else if sourceType == .f32 {
      encode(count, from: source, to: target, targetType)
    } else if sourceType.isEmbedded(in: .f32) || sourceType == .bool {
      throughSingle(count, from: source, sourceType, to: target, targetType)
    } else {
      elementwise(count, from: source, sourceType, to: target, targetType)
    }
  }

  /// Any type to single precision.
  private static func decode(
    _ count: Int, from source: UnsafeRawPointer, _ type: ElementType, to target: UnsafeMutableRawPointer
  ) {
    if let kernelType = type.kernelType {
      pollard_convert_to_f32(kernelType, source, target.assumingMemoryBound(to: Float.self), count)
      return
    }
    switch type {
    case .f64: map(count, source, target) { (bits: UInt64) in Float(Double(bitPattern: bits)).bitPattern }
    default:
      if type.byteCount == 1 {
        let table = (0..<256).map { singleValue(ofByte: UInt8($0), type).bitPattern }
        table.withUnsafeBufferPointer { table in
          map(count, source, target) { (code: UInt8) in table[Int(code)] }
        }
      } else {
        elementwise(count, from: source, type, to: target, .f32)
      }
    }
  }

  /// Single precision to any type.
  private static func encode(
    _ count: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ type: ElementType
  ) {
    if let kernelType = type.kernelType {
      pollard_convert_from_f32(kernelType, source.assumingMemoryBound(to: Float.self), target, count)
      return
    }
    switch type {
    case .f64: map(count, source, target) { (bits: UInt32) in Double(Float(bitPattern: bits)).bitPattern }
    default:
      if let format = type.narrowFloat, type.byteCount == 1 {
        map(count, source, target) { UInt8(truncatingIfNeeded: format.code(for: Float(bitPattern: $0))) }
      } else {
        elementwise(count, from: source, .f32, to: target, type)
      }
    }
  }

  /// Types whose values single precision holds exactly, a block at a time.
  private static func throughSingle(
    _ count: Int, from source: UnsafeRawPointer, _ sourceType: ElementType, to target: UnsafeMutableRawPointer,
    _ targetType: ElementType
  ) {
    guard let sourceSize = sourceType.byteCount, let targetSize = targetType.byteCount else { return }
    let block = 512
    withUnsafeTemporaryAllocation(byteCount: block * 4, alignment: 64) { buffer in
      guard let singles = buffer.baseAddress else { return }
      var start = 0
      while start < count {
        let step = min(block, count - start)
        decode(step, from: source + start * sourceSize, sourceType, to: singles)
        encode(step, from: singles, to: target + start * targetSize, targetType)
        start += step
      }
    }
  }

  @inline(__always)
  private static func map<Source: FixedWidthInteger, Target: FixedWidthInteger>(
    _ count: Int, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ transform: (Source) -> Target
  ) {
    for index in 0..<count {
      let value = source.loadUnaligned(fromByteOffset: index &* MemoryLayout<Source>.size, as: Source.self)
      target.storeBytes(of: transform(value), toByteOffset: index &* MemoryLayout<Target>.size, as: Target.self)
    }
  }

  /// The value of a type of one byte.
  private static func singleValue(ofByte code: UInt8, _ type: ElementType) -> Float {
    switch type {
    case .bool: code == 0 ? 0 : 1
    case .u8: Float(code)
    case .i8: Float(Int8(bitPattern: code))
    case .f8e8m0: code == 0xFF ? .nan : Float(sign: .plus, exponent: Int(code) - 127, significand: 1)
    default: type.narrowFloat?.value(of: UInt32(code)) ?? .nan
    }
  }

  /// A value on its way between two types, in a form that holds it exactly.
  private enum Value {
    case real(Double)
    case signed(Int64)
    case unsigned(UInt64)
  }

  /// The pairs that are rare: integers, and double precision to narrow types.
  private static func elementwise(
    _ count: Int, from source: UnsafeRawPointer, _ sourceType: ElementType, to target: UnsafeMutableRawPointer,
    _ targetType: ElementType
  ) {
    guard let sourceSize = sourceType.byteCount, let targetSize = targetType.byteCount else { return }
    for index in 0..<count {
      store(load(source + index * sourceSize, sourceType), target + index * targetSize, targetType)
    }
  }

  private static func load(_ source: UnsafeRawPointer, _ type: ElementType) -> Value {
    switch type {
    case .u8: .unsigned(UInt64(source.load(as: UInt8.self)))
    case .i8: .signed(Int64(source.load(as: Int8.self)))
    case .i16: .signed(Int64(source.loadUnaligned(as: Int16.self)))
    case .u16: .unsigned(UInt64(source.loadUnaligned(as: UInt16.self)))
    case .i32: .signed(Int64(source.loadUnaligned(as: Int32.self)))
    case .u32: .unsigned(UInt64(source.loadUnaligned(as: UInt32.self)))
    case .i64: .signed(source.loadUnaligned(as: Int64.self))
    case .u64: .unsigned(source.loadUnaligned(as: UInt64.self))
    case .f64: .real(Double(bitPattern: source.loadUnaligned(as: UInt64.self)))
    case .f32: .real(Double(Float(bitPattern: source.loadUnaligned(as: UInt32.self))))
    case .f16, .bf16: .real(Double(type.narrowFloat?.value(of: UInt32(source.loadUnaligned(as: UInt16.self))) ?? .nan))
    case .bool, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz:
      .real(Double(singleValue(ofByte: source.load(as: UInt8.self), type)))
    case .f4, .f6e2m3, .f6e3m2, .c64, .u2, .i2, .u4, .i4, .c128, .string:
      preconditionFailure("packed and complex elements are not converted")
    }
  }

  private static func store(_ value: Value, _ target: UnsafeMutableRawPointer, _ type: ElementType) {
    switch type {
    case .bool:
      let isZero =
        switch value {
        case .real(let number): number == 0
        case .signed(let number): number == 0
        case .unsigned(let number): number == 0
        }
      target.storeBytes(of: isZero ? 0 : 1, as: UInt8.self)
    case .u8: target.storeBytes(of: integer(value), as: UInt8.self)
    case .i8: target.storeBytes(of: integer(value), as: Int8.self)
    case .i16: target.storeBytes(of: integer(value), as: Int16.self)
    case .u16: target.storeBytes(of: integer(value), as: UInt16.self)
    case .i32: target.storeBytes(of: integer(value), as: Int32.self)
    case .u32: target.storeBytes(of: integer(value), as: UInt32.self)
    case .i64: target.storeBytes(of: integer(value), as: Int64.self)
    case .u64: target.storeBytes(of: integer(value), as: UInt64.self)
    case .f64:
      let number =
        switch value {
        case .real(let number): number
        case .signed(let number): Double(number)
        case .unsigned(let number): Double(number)
        }
      target.storeBytes(of: number.bitPattern, as: UInt64.self)
    case .f32:
      let number =
        switch value {
        case .real(let number): Float(number)
        case .signed(let number): Float(number)
        case .unsigned(let number): Float(number)
        }
      target.storeBytes(of: number.bitPattern, as: UInt32.self)
    case .f16, .bf16, .f8e5m2, .f8e4m3, .f8e4m3fnuz, .f8e5m2fnuz:
      guard let format = type.narrowFloat else { return }
      let number =
        switch value {
        case .real(let number): roundedToOdd(number)
        case .signed(let number): roundedToOdd(roundedToOdd(number))
        case .unsigned(let number): roundedToOdd(roundedToOdd(number))
        }
      let code = format.code(for: number)
      if type.byteCount == 1 {
        target.storeBytes(of: UInt8(truncatingIfNeeded: code), as: UInt8.self)
      } else {
        target.storeBytes(of: UInt16(truncatingIfNeeded: code), as: UInt16.self)
      }
    case .f4, .f6e2m3, .f6e3m2, .f8e8m0, .c64, .u2, .i2, .u4, .i4, .c128, .string:
      preconditionFailure("nothing is converted to this type")
    }
  }

  /// The number cut off towards zero and held in the range of an integer type; NaN gives 0.
  private static func integer<Integer: FixedWidthInteger>(_ value: Value) -> Integer {
    switch value {
    case .signed(let number): return Integer(clamping: number)
    case .unsigned(let number): return Integer(clamping: number)
    case .real(let number):
      if number.isNaN { return 0 }
      let whole = number.rounded(.towardZero)
      return Integer(exactly: whole) ?? (whole < 0 ? Integer.min : Integer.max)
    }
  }
}

extension ElementType {
  /// The number under which the vectorised conversions know a type.
  fileprivate var kernelType: Int32? {
    switch self {
    case .f16: Int32(POLLARD_F16.rawValue)
    case .bf16: Int32(POLLARD_BF16.rawValue)
    case .f8e4m3: Int32(POLLARD_F8_E4M3FN.rawValue)
    case .f8e5m2: Int32(POLLARD_F8_E5M2.rawValue)
    default: nil
    }
  }
}
