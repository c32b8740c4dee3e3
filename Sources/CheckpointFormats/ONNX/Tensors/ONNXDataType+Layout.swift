import TensorStorage

extension ONNXDataType {
  /// The typed fields of a tensor message.
  enum TypedField: String, Sendable, CaseIterable {
    case floatData = "float_data"
    case int32Data = "int32_data"
    case stringData = "string_data"
    case int64Data = "int64_data"
    case doubleData = "double_data"
    case uint64Data = "uint64_data"
  }

  /// The bits of one element; nil for strings and for no type.
  public var bitCount: Int? {
    switch self {
    case .undefined, .string: nil
    case .uint2, .int2: 2
    case .uint4, .int4, .float4e2m1: 4
    case .float6e2m3, .float6e3m2: 6
    case .uint8, .int8, .bool, .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float8e8m0: 8
    case .uint16, .int16, .float16, .bfloat16: 16
    case .float, .int32, .uint32: 32
    case .int64, .double, .uint64, .complex64: 64
    case .complex128: 128
    }
  }

  /// The typed field that may hold elements of this type.
  var typedField: TypedField? {
    switch self {
    case .undefined: nil
    case .string: .stringData
    case .float, .complex64: .floatData
    case .double, .complex128: .doubleData
    case .int64: .int64Data
    case .uint32, .uint64: .uint64Data
    case .int32, .int16, .int8, .int4, .int2, .uint16, .uint8, .uint4, .uint2, .bool, .float16, .bfloat16,
      .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float8e8m0, .float4e2m1, .float6e2m3, .float6e3m2:
      .int32Data
    }
  }

  /// The numbers of the typed field that hold so many elements; narrow ones share a number as they share a byte.
  func typedCount(ofElements count: Int) -> Int {
    switch self {
    case .complex64, .complex128: count * 2
    case .uint4, .int4, .float4e2m1: count / 2 + count % 2
    case .uint2, .int2: count / 4 + (count % 4 == 0 ? 0 : 1)
    default: count
    }
  }

  /// The element type of weights of this type; nil for no type.
  public var elementType: ElementType? {
    switch self {
    case .undefined: nil
    case .string: .string
    case .uint2: .u2
    case .int2: .i2
    case .uint4: .u4
    case .int4: .i4
    case .complex128: .c128
    case .float: .f32
    case .uint8: .u8
    case .int8: .i8
    case .uint16: .u16
    case .int16: .i16
    case .int32: .i32
    case .int64: .i64
    case .bool: .bool
    case .float16: .f16
    case .double: .f64
    case .uint32: .u32
    case .uint64: .u64
    case .complex64: .c64
    case .bfloat16: .bf16
    case .float8e4m3fn: .f8e4m3
    case .float8e4m3fnuz: .f8e4m3fnuz
    case .float8e5m2: .f8e5m2
    case .float8e5m2fnuz: .f8e5m2fnuz
    case .float4e2m1: .f4
    case .float8e8m0: .f8e8m0
    case .float6e2m3: .f6e2m3
    case .float6e3m2: .f6e3m2
    }
  }

  /// The type with elements of the same kind.
  public init?(_ type: ElementType) {
    guard let match = Self.allCases.first(where: { $0.elementType == type }) else { return nil }
    self = match
  }
}
