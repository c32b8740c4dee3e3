/// ONNX models of a few nodes, written field by field: the smallest part of the format that tests of whole files need.
enum ONNXBytes {
  typealias Bytes = [UInt8]

  static func varint(_ value: Int) -> Bytes {
    var rest = UInt64(bitPattern: Int64(value))
    var result: Bytes = []
    while rest > 0x7F {
      result.append(UInt8(rest & 0x7F | 0x80))
      rest >>= 7
    }
    return result + [UInt8(rest)]
  }

  static func integer(_ field: Int, _ value: Int) -> Bytes { varint(field << 3) + varint(value) }
  static func bytes(_ field: Int, _ value: Bytes) -> Bytes { varint(field << 3 | 2) + varint(value.count) + value }
  static func text(_ field: Int, _ value: String) -> Bytes { bytes(field, Array(value.utf8)) }

  /// The numbers of ONNX's element types.
  enum Kind: Int { case f32 = 1, u8 = 2, i32 = 6, i64 = 7, text = 8, bool = 9, f64 = 11, u32 = 12, u64 = 13 }

  static func little<Number: FixedWidthInteger>(_ values: [Number]) -> Bytes {
    values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Bytes($0) } }
  }

  static func tensor(_ name: String, _ kind: Kind, _ extents: [Int], _ content: Bytes) -> Bytes {
    var result: Bytes = []
    for extent in extents { result += integer(1, extent) }
    result += integer(2, kind.rawValue)
    result += text(8, name)
    return result + bytes(9, content)
  }

  static func floats(_ name: String, _ extents: [Int], _ values: [Float]) -> Bytes {
    tensor(name, .f32, extents, little(values.map(\.bitPattern)))
  }

  static func integers(_ name: String, _ extents: [Int], _ values: [Int64]) -> Bytes {
    tensor(name, .i64, extents, little(values))
  }

  /// A F32 tensor whose content is in a file beside the model.
  static func outside(_ name: String, _ extents: [Int], file: String) -> Bytes {
    var result: Bytes = []
    for extent in extents { result += integer(1, extent) }
    result += integer(2, Kind.f32.rawValue)
    result += text(8, name)
    for (key, value) in [("location", file), ("offset", "0"), ("length", "\(4 * extents.reduce(1, *))")] {
      result += bytes(13, text(1, key) + text(2, value))
    }
    return result + integer(14, 1)
  }

  enum Value {
    case integer(Int)
    case graph(Bytes)
  }

  static func node(
    _ op: String, _ inputs: [String], _ outputs: [String], _ attributes: [(String, Value)] = []
  ) -> Bytes {
    var result: Bytes = []
    for input in inputs { result += text(1, input) }
    for output in outputs { result += text(2, output) }
    result += text(3, "\(op) \(outputs[0])")
    result += text(4, op)
    for (name, value) in attributes {
      var attribute = text(1, name)
      switch value {
      case .integer(let number):
        attribute += integer(3, number)
        attribute += integer(20, 2)
      case .graph(let graph):
        attribute += bytes(6, graph)
        attribute += integer(20, 5)
      }
      result += bytes(5, attribute)
    }
    return result
  }

  /// The declaration of an input or output; extents are numbers or names.
  static func value(_ name: String, _ kind: Kind, _ extents: [Any]) -> Bytes {
    var shape: Bytes = []
    for extent in extents {
      let dimension = (extent as? Int).map { integer(1, $0) } ?? text(2, "\(extent)")
      shape += bytes(1, dimension)
    }
    let type = integer(1, kind.rawValue) + bytes(2, shape)
    return text(1, name) + bytes(2, bytes(1, type))
  }

  static func graph(_ nodes: [Bytes], _ inputs: [Bytes], _ outputs: [Bytes], _ constants: [Bytes] = []) -> Bytes {
    var result: Bytes = []
    for node in nodes { result += bytes(1, node) }
    result += text(2, "graph")
    for constant in constants { result += bytes(5, constant) }
    for input in inputs { result += bytes(11, input) }
    for output in outputs { result += bytes(12, output) }
    return result
  }

  static func model(_ graph: Bytes, opset: Int = 21) -> Bytes {
    let domain = text(1, "") + integer(2, opset)
    var result = integer(1, 10) + text(2, "test")
    result += bytes(7, graph)
    return result + bytes(8, domain)
  }
}
