/// The type of a tensor's elements, with safetensors' spelling where that format has the type.
///
/// The order of the first cases is the order of the reference safetensors writer, narrow to wide: it sorts tensors by it, descending.
/// The cases after `u64` exist in ONNX only.
public enum ElementType: UInt8, Sendable, Hashable, CaseIterable {
  /// One byte per truth value. File name `BOOL`.
  case bool
  /// Two 4-bit `e2m1` values per byte. File name `F4`.
  case f4
  /// Packed 6-bit `e2m3`. File name `F6_E2M3`.
  case f6e2m3
  /// Packed 6-bit `e3m2`. File name `F6_E3M2`.
  case f6e3m2
  /// Unsigned 8-bit integer. File name `U8`.
  case u8
  /// Signed 8-bit integer. File name `I8`.
  case i8
  /// 8-bit float, 5 exponent bits. File name `F8_E5M2`.
  case f8e5m2
  /// 8-bit float, 4 exponent bits, no infinities (the `fn` flavour). File name `F8_E4M3`.
  case f8e4m3
  /// Power-of-two scale. File name `F8_E8M0`.
  case f8e8m0
  /// 8-bit float, 4 exponent bits, no infinities, no negative zero. File name `F8_E4M3FNUZ`.
  case f8e4m3fnuz
  /// 8-bit float, 5 exponent bits, no infinities, no negative zero. File name `F8_E5M2FNUZ`.
  case f8e5m2fnuz
  /// Signed 16-bit integer. File name `I16`.
  case i16
  /// Unsigned 16-bit integer. File name `U16`.
  case u16
  /// IEEE 754 half precision. File name `F16`.
  case f16
  /// The upper half of a single-precision number. File name `BF16`.
  case bf16
  /// Signed 32-bit integer. File name `I32`.
  case i32
  /// Unsigned 32-bit integer. File name `U32`.
  case u32
  /// IEEE 754 single precision. File name `F32`.
  case f32
  /// Two single-precision numbers, real then imaginary. File name `C64`.
  case c64
  /// IEEE 754 double precision. File name `F64`.
  case f64
  /// Signed 64-bit integer. File name `I64`.
  case i64
  /// Unsigned 64-bit integer. File name `U64`.
  case u64
  /// Unsigned 2-bit integer, four to a byte, lowest bits first. ONNX only.
  case u2
  /// Signed 2-bit integer, four to a byte, lowest bits first. ONNX only.
  case i2
  /// Unsigned 4-bit integer, two to a byte, lowest bits first. ONNX only.
  case u4
  /// Signed 4-bit integer, two to a byte, lowest bits first. ONNX only.
  case i4
  /// Two double-precision numbers, real then imaginary. ONNX only.
  case c128
  /// Byte strings of any length; tensors of them are no dense bytes. ONNX only.
  case string

  /// The spelling in a safetensors header, or one like it.
  public var name: String {
    switch self {
    case .bool: "BOOL"
    case .f4: "F4"
    case .f6e2m3: "F6_E2M3"
    case .f6e3m2: "F6_E3M2"
    case .u8: "U8"
    case .i8: "I8"
    case .f8e5m2: "F8_E5M2"
    case .f8e4m3: "F8_E4M3"
    case .f8e8m0: "F8_E8M0"
    case .f8e4m3fnuz: "F8_E4M3FNUZ"
    case .f8e5m2fnuz: "F8_E5M2FNUZ"
    case .i16: "I16"
    case .u16: "U16"
    case .f16: "F16"
    case .bf16: "BF16"
    case .i32: "I32"
    case .u32: "U32"
    case .f32: "F32"
    case .c64: "C64"
    case .f64: "F64"
    case .i64: "I64"
    case .u64: "U64"
    case .u2: "U2"
    case .i2: "I2"
    case .u4: "U4"
    case .i4: "I4"
    case .c128: "C128"
    case .string: "STRING"
    }
  }

  /// Whether safetensors files can hold the type.
  public var isInSafetensors: Bool {
    switch self {
    case .u2, .i2, .u4, .i4, .c128, .string: false
    default: true
    }
  }

  /// The types that safetensors files can hold, narrow to wide.
  public static var safetensorsTypes: [ElementType] { allCases.filter(\.isInSafetensors) }

  /// The type with a given safetensors spelling; the spelling is case-sensitive.
  public init?(name: String) {
    guard let match = Self.safetensorsTypes.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  /// The number of bits of one element; 0 for strings, which have no common length.
  public var bitCount: Int {
    switch self {
    case .string: 0
    case .u2, .i2: 2
    case .f4, .u4, .i4: 4
    case .f6e2m3, .f6e3m2: 6
    case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
    case .i16, .u16, .f16, .bf16: 16
    case .i32, .u32, .f32: 32
    case .c64, .f64, .i64, .u64: 64
    case .c128: 128
    }
  }

  /// The number of bytes of one element, or nil for types that pack several elements into a byte and for strings.
  public var byteCount: Int? { bitCount > 0 && bitCount % 8 == 0 ? bitCount / 8 : nil }

  /// Whether elements are real floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .f16, .bf16, .f32, .f64: true
    case .bool, .u8, .i8, .i16, .u16, .i32, .u32, .c64, .i64, .u64, .u2, .i2, .u4, .i4, .c128, .string: false
    }
  }
}

extension ElementType: CustomStringConvertible {
  /// The spelling in a safetensors header.
  public var description: String { name }
}
