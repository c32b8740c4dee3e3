import PollardBase

/// One rule about well-formed graphs.
public struct GraphRule: Sendable {
  /// What must hold, in one sentence.
  public let statement: String
  /// The first place where it does not, or nil.
  let violation: @Sendable (Graph) -> GraphError?
}

extension Graph {
  /// The rules every graph must obey, apart from the passes that must obey them.
  public static let rules: [GraphRule] = [
    GraphRule(statement: "Names of values are unique and not empty.") { graph in
      var seen: Set<String> = []
      for value in graph.values where value.name.isEmpty || !seen.insert(value.name).inserted {
        return GraphError(
          .illFormed, subject: .value(value.name), expected: "a unique name", found: "another value of that name")
      }
      return nil
    },
    GraphRule(statement: "Every value is provided once: by an input, an initializer or one node.") { graph in
      var provided = Set(graph.inputs)
      for id in graph.initializers where !provided.insert(id).inserted {
        return GraphError(.illFormed, subject: .value(graph[id].name), expected: "one provider", found: "two")
      }
      for node in graph.nodes {
        for case let output? in node.outputs where !provided.insert(output).inserted {
          return GraphError(.illFormed, subject: .value(graph[output].name), expected: "one provider", found: "two")
        }
      }
      return nil
    },
    GraphRule(statement: "Operands are provided before they are used.") { graph in
      var ready = Set(graph.inputs).union(graph.initializers)
      for node in graph.nodes {
        for case let input? in node.inputs where !ready.contains(input) {
          return GraphError(
            .illFormed, subject: .node(node.name), expected: "operands provided by earlier nodes",
            found: graph[input].name)
        }
        ready.formUnion(node.outputs.compactMap { $0 })
      }
      for output in graph.outputs where !ready.contains(output) {
        return GraphError(
          .illFormed, subject: .value(graph[output].name), expected: "a provider of the output", found: "none")
      }
      return nil
    },
    GraphRule(statement: "Nodes have the operands their operators require.") { graph in
      for node in graph.nodes {
        let required = OperatorRegistry.find(node.op).requiredInputs
        if node.inputs.prefix(required).compactMap({ $0 }).count < required {
          return GraphError(
            .illFormed, subject: .node(node.name), expected: "\(required) operands of \(node.op)",
            found: "\(node.inputs.compactMap { $0 }.count)")
        }
      }
      return nil
    },
    GraphRule(statement: "Shape inference succeeds and agrees with the declared types.") { graph in
      var copy = graph
      do throws(GraphError) { _ = try ShapeInference.inferAll(&copy) } catch { return error }
      for (before, after) in zip(graph.values, copy.values) {
        guard let a = before.type?.shape, let b = after.type?.shape else { continue }
        let agree = a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || $0.constant == nil || $1.constant == nil }
        if !agree {
          return GraphError(.shapeMismatch, subject: .value(before.name), expected: "\(a)", found: "\(b)")
        }
      }
      return nil
    },
  ]

  /// Checks every rule.
  ///
  /// - Throws: the first violation.
  public func validate() throws(GraphError) {
    for rule in Self.rules { if let violation = rule.violation(self) { throw violation } }
  }
}

extension Graph {
  /// Checks the rules about names and providers only: what an executor needs, which sees the true extents itself.
  ///
  /// - Throws: the first violation.
  public func validateStructure() throws(GraphError) {
    for rule in Self.rules.prefix(3) { if let violation = rule.violation(self) { throw violation } }
  }
}
