/// The element types of ONNX: `TensorProto.DataType`.
public enum ONNXDataType: Int32, Sendable, Hashable, CaseIterable {
  /// No type.
  case undefined = 0
  /// 32-bit float.
  case float = 1
  /// Unsigned byte.
  case uint8 = 2
  /// Signed byte.
  case int8 = 3
  /// Unsigned 16 bits.
  case uint16 = 4
  /// Signed 16 bits.
  case int16 = 5
  /// Signed 32 bits.
  case int32 = 6
  /// Signed 64 bits.
  case int64 = 7
  /// Byte strings.
  case string = 8
  /// One byte per truth value.
  case bool = 9
  /// IEEE 754 half precision.
  case float16 = 10
  /// 64-bit float.
  case double = 11
  /// Unsigned 32 bits.
  case uint32 = 12
  /// Unsigned 64 bits.
  case uint64 = 13
  /// Two 32-bit floats.
  case complex64 = 14
  /// Two 64-bit floats.
  case complex128 = 15
  /// The upper half of a 32-bit float.
  case bfloat16 = 16
  /// 8-bit float, 4 exponent bits, no infinities.
  case float8e4m3fn = 17
  /// As `float8e4m3fn`, without negative zero.
  case float8e4m3fnuz = 18
  /// 8-bit float, 5 exponent bits.
  case float8e5m2 = 19
  /// 8-bit float, 5 exponent bits, no infinities, no negative zero.
  case float8e5m2fnuz = 20
  /// Unsigned 4 bits, two to a byte.
  case uint4 = 21
  /// Signed 4 bits, two to a byte.
  case int4 = 22
  /// 4-bit float, two to a byte.
  case float4e2m1 = 23
  /// Power-of-two scale.
  case float8e8m0 = 24
  /// Unsigned 2 bits, four to a byte.
  case uint2 = 25
  /// Signed 2 bits, four to a byte.
  case int2 = 26
  /// 6-bit float, four to three bytes.
  case float6e2m3 = 27
  /// 6-bit float, four to three bytes.
  case float6e3m2 = 28
}
