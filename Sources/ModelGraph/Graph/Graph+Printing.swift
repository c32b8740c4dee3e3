import PollardBase

extension Graph: CustomStringConvertible {
  /// A listing: inputs, one line per node grouped by scope, outputs.
  public var description: String {
    var lines = ["graph \(escapedForTerminal(name))"]
    for id in inputs { lines.append("  input  \(named(id))" + (derivedInputs[id].map { "  (default: \($0))" } ?? "")) }
    var scope = ""
    for node in nodes {
      if node.scope != scope {
        scope = node.scope
        lines.append("  \(escapedForTerminal(scope.isEmpty ? "(top)" : scope))")
      }
      lines.append("    " + line(node))
    }
    for id in outputs { lines.append("  output \(named(id))") }
    return lines.joined(separator: "\n")
  }

  private func line(_ node: Node) -> String {
    let results = node.outputs.map { $0.map(named) ?? "_" }.joined(separator: ", ")
    let operands = node.inputs.map { $0.map(operand) ?? "_" }.joined(separator: ", ")
    let attributes = node.attributes.sorted { $0.key < $1.key }.map { ", \($0.key): \($0.value.text)" }.joined()
    return "\(results) = \(node.op)(\(operands)\(attributes))"
  }

  private func named(_ id: ValueID) -> String {
    "\(escapedForTerminal(self[id].name)): \(self[id].type?.description ?? "?")"
  }

  private func operand(_ id: ValueID) -> String {
    let value = self[id]
    if let weight = value.initializer {
      if weight.shape.elementCount <= 8, !weight.type.isFloatingPoint, let numbers = try? weight.smallIntegers() {
        return weight.shape.rank == 0 ? "\(numbers[0])" : "\(numbers)"
      }
      return "\(escapedForTerminal(value.name)): \(weight.type)\(weight.shape)"
    }
    return escapedForTerminal(value.name)
  }
}

extension Attribute {
  /// The value as printed in a listing.
  var text: String {
    switch self {
    case .integer(let value): "\(value)"
    case .integers(let values): "\(values)"
    case .float(let value): "\(value)"
    case .floats(let values): "\(values)"
    case .string(let value): "\"\(escapedForTerminal(value))\""
    case .strings(let values): "[" + values.map { "\"\(escapedForTerminal($0))\"" }.joined(separator: ", ") + "]"
    case .tensor(let value): "\(value.type)\(value.shape)"
    case .opaque: "…"
    }
  }
}
