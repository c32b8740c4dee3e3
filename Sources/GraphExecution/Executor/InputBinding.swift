import ModelGraph
import PollardBase
import TensorStorage

extension Graph {
  /// Checks given inputs against the declared types, converts narrow integers, and fills inputs that may be left out.
  ///
  /// - Throws: `unknownInput`, `missingInput`, `typeMismatch`, `shapeMismatch`, naming the input.
  func bind(_ given: [String: Tensor], _ memory: Memory) throws -> [ValueID: Tensor] {
    let known = Set(inputs.map { self[$0].name })
    if let stranger = given.keys.sorted().first(where: { !known.contains($0) }) {
      throw GraphError(
        .unknownInput, subject: .value(stranger), expected: "one of \(known.sorted().joined(separator: ", "))",
        found: stranger)
    }
    var symbols: [String: (extent: Int, input: String)] = [:]
    var bound: [ValueID: Tensor] = [:]
    for id in inputs {
      guard let tensor = given[self[id].name] else { continue }
      bound[id] = try check(tensor, of: self[id], &symbols, memory)
    }
    let sizes = symbols.mapValues(\.extent)
    for id in inputs {
      let value = self[id]
      guard let tensor = bound[id] else { continue }
      for (axis, size) in (value.type?.shape ?? []).enumerated() {
        if let extent = size.evaluated(sizes), extent != tensor.extents[axis] {
          throw mismatch(value, tensor, "\(size) = \(extent) at axis \(axis)")
        }
      }
    }
    for id in inputs where bound[id] == nil {
      guard let rule = derivedInputs[id] else {
        throw GraphError(
          .missingInput, subject: .value(self[id].name), expected: "\(self[id].type?.description ?? "a tensor")",
          found: "nothing")
      }
      bound[id] = try derive(id, rule, sizes, bound, memory)
    }
    return bound
  }

  private func check(
    _ tensor: Tensor, of value: Value, _ symbols: inout [String: (extent: Int, input: String)], _ memory: Memory
  ) throws -> Tensor {
    guard let type = value.type else { return tensor }
    var result = tensor
    if type.element == .i64, tensor.type == .i32 {
      result = Tensor(integers: tensor.integers(), extents: tensor.extents)
    } else if tensor.type == .f32, type.element.computed(in: memory.precision) == .f64 {
      result = Tensor(doubles: tensor.doubles(), extents: tensor.extents)
    } else if type.element.computed(in: memory.precision) != tensor.type {
      throw GraphError(
        .typeMismatch, subject: .value(value.name), expected: "\(type.element)", found: "\(tensor.type)")
    }
    if let tracked = type.element.tracked(in: memory.precision) { result = try result.rounded(to: tracked, memory) }
    guard let shape = type.shape else { return result }
    guard shape.count == tensor.rank else { throw mismatch(value, tensor, "\(type)") }
    for (axis, size) in shape.enumerated() {
      let extent = tensor.extents[axis]
      if let fixed = size.constant, fixed != extent { throw mismatch(value, tensor, "\(type)") }
      guard size.symbols.count == 1, let name = size.symbols.first, size == Size.symbol(name) else { continue }
      if let (other, input) = symbols[name], other != extent {
        throw mismatch(value, tensor, "\(name) = \(other) as in \(input)")
      }
      symbols[name] = (extent, value.name)
    }
    return result
  }

  private func mismatch(_ value: Value, _ tensor: Tensor, _ expected: String) -> GraphError {
    GraphError(
      .shapeMismatch, subject: .value(value.name), expected: expected, found: "\(tensor.type)\(tensor.extents)")
  }

  private func derive(
    _ id: ValueID, _ rule: DerivedInput, _ sizes: [String: Int], _ bound: [ValueID: Tensor], _ memory: Memory
  ) throws -> Tensor {
    if case .content(let weight) = rule { return try Tensor(reading: weight, memory: memory) }
    let shape = self[id].type?.shape
    var extents = shape?.compactMap { $0.evaluated(sizes) } ?? []
    if shape == nil || extents.count != shape?.count {
      guard let ids = value(named: "input_ids").flatMap({ bound[$0] }) else {
        throw GraphError(
          .missingInput, subject: .value(self[id].name), expected: "\(self[id].type?.description ?? "a tensor")",
          found: "nothing, and no input_ids to take the shape from")
      }
      extents = ids.extents
    }
    let type = self[id].type?.element.computed(in: memory.precision) ?? .i64
    let result = try memory.tensor(type, extents)
    let count = result.elementCount
    let last = max(extents.last ?? 1, 1)
    func number(_ index: Int) -> Int {
      switch rule {
      case .zeros, .content: 0
      case .ones: 1
      case .ascending: index % last
      }
    }
    switch type {
    case .f32: for index in 0..<count { result.written(Float.self)[index] = Float(number(index)) }
    case .f64: for index in 0..<count { result.written(Double.self)[index] = Double(number(index)) }
    case .bool: for index in 0..<count { result.written(UInt8.self)[index] = number(index) == 0 ? 0 : 1 }
    default:
      func fill<Element: IntegerElement>(_ element: Element.Type) {
        for index in 0..<count { result.written(element)[index] = Element(truncatingIfNeeded: number(index)) }
      }
      if let element = type.integerElement { fill(element) }
    }
    return result
  }
}
