import CheckpointFormats
import PollardBase
import TensorStorage

/// Forms the result of a node whose operands are constants, without reading more than small lists of integers.
struct ONNXFolding {
  let node: ONNXNode
  let version: Int
  /// The operands by slot; nil where one is left out.
  let operands: [Weight?]

  /// The operators that are formed while reading.
  static let operators: Set<ByteString> = [
    "Identity", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Concat", "ConstantOfShape",
  ]
  /// The longest list of integers that is joined, and the most elements that are made of a shape.
  private static let largestList = 1024
  private static let largestFill = 1 << 16

  /// The result; nil when the node stays a node: its form is not one of the plain ones, or something is wrong with it.
  func result() throws(FormatError) -> Weight? {
    guard let operand = operands.first, let operand else { return nil }
    switch node.operatorType {
    case "Identity": return operand
    case "Transpose": return try transposed(operand)
    case "Cast": return try cast(operand)
    case "Squeeze", "Unsqueeze": return try withAxes(operand)
    case "Reshape": return try reshaped(operand)
    case "Concat": return try joined()
    case "ConstantOfShape": return try filled(operand)
    default: return nil
    }
  }

  private func integer(_ name: ByteString) throws(FormatError) -> Int? {
    guard case .integer(let value)? = try node[attribute: name]?.value() else { return nil }
    return Int(value)
  }

  private func integers(_ name: ByteString) throws(FormatError) -> [Int]? {
    guard case .integers(let values)? = try node[attribute: name]?.value() else { return nil }
    return values.map { Int($0) }
  }

  private func list(_ slot: Int) throws(FormatError) -> [Int]? {
    guard slot < operands.count, let weight = operands[slot], weight.shape.rank <= 1,
      weight.shape.elementCount <= Self.largestList, weight.type == .i64 || weight.type == .i32
    else { return nil }
    let width = weight.type == .i64 ? 8 : 4
    let bytes = try weight.bytes()
    return (0..<weight.shape.elementCount).map { index in
      let bits = bytes[index * width..<(index + 1) * width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return width == 8 ? Int(truncatingIfNeeded: bits) : Int(Int32(truncatingIfNeeded: bits))
    }
  }

  private func transposed(_ operand: Weight) throws(FormatError) -> Weight? {
    let rank = operand.shape.rank
    let permutation = try integers("perm") ?? Array((0..<rank).reversed())
    guard operand.type.byteCount != nil, permutation.sorted() == Array(0..<rank) else { return nil }
    return operand.transposed(permutation)
  }

  /// Narrow 8-bit floats have a choice of what happens beyond their range, so casts to them stay nodes.
  private func cast(_ operand: Weight) throws(FormatError) -> Weight? {
    guard let to = try integer("to"), let raw = Int32(exactly: to),
      let target = ONNXDataType(rawValue: raw)?.elementType,
      operand.type.canBeCast(to: target)
    else { return nil }
    let plain: Set<ElementType> = [.bool, .u8, .i8, .i16, .u16, .i32, .u32, .i64, .u64, .f16, .bf16, .f32, .f64]
    guard target == operand.type || (plain.contains(target) && plain.contains(operand.type)) else { return nil }
    // What lies beyond an integer type's range is left to whoever runs the model.
    if !target.isFloatingPoint, target != .bool, operand.type.isFloatingPoint { return nil }
    // Integers that the target has no room for wrap around when the model runs; stored weights are held in range.
    if !target.isFloatingPoint, target != .bool, target != operand.type, operand.type != .bool {
      guard operand.shape.elementCount <= Self.largestList, let values = try? operand.smallIntegers(),
        values.allSatisfy({ Self.holds($0, target) })
      else { return nil }
    }
    return operand.cast(to: target)
  }

  private static func holds(_ value: Int, _ type: ElementType) -> Bool {
    switch type {
    case .u64: value >= 0
    case .u8, .u16, .u32: value >= 0 && value >> type.bitCount == 0
    default: type.bitCount == 64 || (value >> (type.bitCount - 1)) == (value < 0 ? -1 : 0)
    }
  }

  private func withAxes(_ operand: Weight) throws(FormatError) -> Weight? {
    let isRemoving = node.operatorType == "Squeeze"
    var extents = operand.shape.extents
    let axes = try version < 13 ? integers("axes") : (operands.count > 1 && operands[1] != nil ? list(1) : nil)
    if version >= 13, axes == nil, operands.count > 1, operands[1] != nil { return nil }
    guard operand.type.byteCount != nil else { return nil }
    guard let axes else { return isRemoving ? operand.reshaped(Shape(extents.filter { $0 != 1 })) : nil }
    let rank = isRemoving ? extents.count : extents.count + axes.count
    let places = Set(axes.map { $0 < 0 ? $0 &+ rank : $0 })
    guard places.count == axes.count, places.allSatisfy({ (0..<rank).contains($0) }) else { return nil }
    if isRemoving {
      guard places.allSatisfy({ extents[$0] == 1 }) else { return nil }
      extents = extents.enumerated().filter { !places.contains($0.offset) }.map(\.element)
    } else {
      for place in places.sorted() { extents.insert(1, at: place) }
    }
    return operand.reshaped(Shape(extents))
  }

  private func reshaped(_ operand: Weight) throws(FormatError) -> Weight? {
    guard version >= 5, operand.type.byteCount != nil, let target = try list(1) else { return nil }
    let copiesZeros = try (integer("allowzero") ?? 0) == 0
    var extents: [Int] = []
    var known = 1
    for (axis, extent) in target.enumerated() {
      var extent = extent
      if extent == 0, copiesZeros {
        guard axis < operand.shape.rank else { return nil }
        extent = operand.shape[axis]
      }
      guard extent >= -1 else { return nil }
      if extent >= 0 {
        let (product, overflow) = known.multipliedReportingOverflow(by: extent)
        if overflow { return nil }
        known = product
      }
      extents.append(extent)
    }
    let count = operand.shape.elementCount
    let open = extents.indices.filter { extents[$0] == -1 }
    if let place = open.first {
      guard open.count == 1, known > 0, count % known == 0 else { return nil }
      extents[place] = count / known
    } else if known != count {
      return nil
    }
    return operand.reshaped(Shape(extents))
  }

  private func joined() throws(FormatError) -> Weight? {
    let parts = operands.compactMap { $0 }
    guard parts.count == operands.count, let first = parts.first, let axis = try integer("axis"),
      axis == 0 || axis == -1,
      !first.type.isFloatingPoint, first.type.byteCount != nil,
      parts.allSatisfy({ $0.type == first.type && $0.shape.rank == 1 && $0.shape[0] <= Self.largestList })
    else { return nil }
    let total = parts.reduce(0) { $0 + $1.shape[0] }
    guard total <= Self.largestList else { return nil }
    var bytes: [UInt8] = []
    for part in parts { bytes += try part.bytes() }
    return .literal(bytes: bytes, type: first.type, shape: [total])
  }

  private func filled(_ operand: Weight) throws(FormatError) -> Weight? {
    guard operand.shape.rank == 1, let extents = try list(0), extents.allSatisfy({ $0 >= 0 }) else { return nil }
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow || product > Self.largestFill { return nil }
      count = product
    }
    var element = Weight.floats([0], shape: [1])
    if let attribute = node[attribute: "value"] {
      guard case .tensor(let tensor) = try attribute.value(), !tensor.isExternal, try tensor.form().elementCount == 1,
        try tensor.form().type.elementType?.byteCount != nil
      else { return nil }
      element = try tensor.weight()
    }
    let bytes = try element.bytes()
    return .literal(
      bytes: (0..<count).flatMap { _ in bytes }, type: element.type, shape: Shape(extents))
  }
}
