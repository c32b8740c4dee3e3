import TensorStorage

/// The names a checkpoint's pickle may speak of. There are no others, and none of them runs anything.
package enum PickleGlobal: Sendable, Hashable {
  /// A storage of elements of a type; of bytes when nil.
  case storageClass(ElementType?)
  /// A storage, or an element type, that is not read.
  case unreadable(String)
  /// An element type.
  case elementType(ElementType)
  /// `_rebuild_tensor`, `_v2` and `_v3`.
  case rebuildTensor(version: Int)
  /// `_rebuild_parameter`, with or without attributes.
  case rebuildParameter
  /// `_rebuild_from_type_v2`: another function with its arguments, and attributes.
  case rebuildFromType
  /// A function that makes a tensor of a kind that is not read.
  case rebuildUnreadable(String)
  /// `OrderedDict`, `defaultdict`, `Counter`, `dict`.
  case dictionaryClass
  /// `set`, `frozenset`.
  case setClass
  /// `torch.Size`, `tuple`.
  case tupleClass
  /// `torch.Tensor`, `torch.nn.Parameter`: named as types, never called.
  case tensorClass
  /// Anything else that checkpoints carry along; called, it gives inert data.
  case inert(String)

  /// The meaning of `module.name`; nil for everything that is not in the list.
  package init?(module: String, name: String) {
    guard let found = Self.table[module + " " + name] else { return nil }
    self = found
  }

  private static let table: [String: PickleGlobal] = {
    var table: [String: PickleGlobal] = [
      "torch._utils _rebuild_tensor": .rebuildTensor(version: 1),
      "torch._utils _rebuild_tensor_v2": .rebuildTensor(version: 2),
      "torch._utils _rebuild_tensor_v3": .rebuildTensor(version: 3),
      "torch._utils _rebuild_parameter": .rebuildParameter,
      "torch._utils _rebuild_parameter_with_state": .rebuildParameter,
      "torch._tensor _rebuild_from_type_v2": .rebuildFromType,
      "torch._utils _rebuild_qtensor": .rebuildUnreadable("a quantised tensor"),
      "torch._utils _rebuild_sparse_tensor": .rebuildUnreadable("a sparse tensor"),
      "torch._utils _rebuild_sparse_csr_tensor": .rebuildUnreadable("a sparse tensor"),
      "torch._utils _rebuild_nested_tensor": .rebuildUnreadable("a nested tensor"),
      "torch._utils _rebuild_meta_tensor_no_storage": .rebuildUnreadable("a tensor without data (device meta)"),
      "torch._utils _rebuild_device_tensor_from_numpy": .rebuildUnreadable("a tensor inside a NumPy array"),
      "torch._utils _rebuild_device_tensor_from_cpu_tensor": .rebuildUnreadable("a tensor of another device"),
      "torch._utils _rebuild_wrapper_subclass": .rebuildUnreadable("a tensor of a Python subclass"),
      "torch._utils _rebuild_xla_tensor": .rebuildUnreadable("a tensor of another device"),
      "torch.storage UntypedStorage": .storageClass(nil), "torch UntypedStorage": .storageClass(nil),
      "torch Tensor": .tensorClass, "torch.nn.parameter Parameter": .tensorClass,
      "torch.nn.parameter Buffer": .tensorClass,
      "torch Size": .tupleClass, "torch device": .inert("torch.device"),
      "torch.serialization _get_layout": .inert("torch.layout"),
    ]
    for module in ["builtins", "__builtin__"] {
      table[module + " dict"] = .dictionaryClass
      table[module + " set"] = .setClass
      table[module + " frozenset"] = .setClass
      for name in ["int", "long", "float", "bool", "str", "unicode", "list", "tuple", "complex"] {
        table[module + " " + name] = .inert(name)
      }
    }
    for name in ["OrderedDict", "defaultdict", "Counter"] { table["collections " + name] = .dictionaryClass }
    for module in ["numpy.core.multiarray", "numpy._core.multiarray"] {
      table[module + " scalar"] = .inert("numpy.generic")
      table[module + " _reconstruct"] = .inert("numpy.ndarray")
    }
    for name in ["dtype", "ndarray"] { table["numpy " + name] = .inert("numpy." + name) }
    table["_codecs encode"] = .inert("bytes")
    let storages: [(String, ElementType)] = [
      ("Double", .f64), ("Float", .f32), ("Half", .f16), ("BFloat16", .bf16), ("Long", .i64), ("Int", .i32),
      ("Short", .i16), ("Char", .i8), ("Byte", .u8), ("Bool", .bool), ("ComplexFloat", .c64), ("ComplexDouble", .c128),
    ]
    for (name, type) in storages {
      for module in ["torch", "torch.cuda"] { table["\(module) \(name)Storage"] = .storageClass(type) }
    }
    for name in ["QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4"] {
      table["torch \(name)Storage"] = .unreadable("\(name)Storage, quantised numbers")
    }
    let types: [(String, ElementType)] = [
      ("float64", .f64), ("float32", .f32), ("float16", .f16), ("bfloat16", .bf16), ("int64", .i64), ("int32", .i32),
      ("int16", .i16), ("int8", .i8), ("uint64", .u64), ("uint32", .u32), ("uint16", .u16), ("uint8", .u8),
      ("bool", .bool), ("complex64", .c64), ("complex128", .c128), ("float8_e4m3fn", .f8e4m3),
      ("float8_e5m2", .f8e5m2), ("float8_e4m3fnuz", .f8e4m3fnuz), ("float8_e5m2fnuz", .f8e5m2fnuz),
      ("float8_e8m0fnu", .f8e8m0),
    ]
    for (name, type) in types { table["torch " + name] = .elementType(type) }
    let others = ["complex32", "qint8", "quint8", "qint32", "quint4x2", "quint2x4", "float4_e2m1fn_x2"]
    for name in others + ["bits1x8", "bits2x4", "bits4x2", "bits8", "bits16"] {
      table["torch " + name] = .unreadable("elements of type torch." + name)
    }
    return table
  }()
}
