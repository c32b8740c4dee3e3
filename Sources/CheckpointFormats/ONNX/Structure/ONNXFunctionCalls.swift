import PollardBase

/// The name by which nodes call a function of the model.
public struct ONNXFunctionIdentity: Sendable, Hashable {
  /// The domain, "" for the standard one.
  public let domain: ByteString
  /// The function's name, which is the calling node's operator type.
  public let name: ByteString
  /// The overload, "" when there is one only.
  public let overload: ByteString

  /// Makes an identity.
  public init(domain: ByteString?, name: ByteString?, overload: ByteString?) {
    self.domain = ONNXOperatorSet.canonicalDomain(domain)
    self.name = name ?? ""
    self.overload = overload ?? ""
  }
}

extension ONNXFunction {
  /// The name by which nodes call the function.
  public var identity: ONNXFunctionIdentity { ONNXFunctionIdentity(domain: domain, name: name, overload: overload) }
}

extension ONNXNode {
  /// The function that the node calls when the model has one of this name.
  public var functionIdentity: ONNXFunctionIdentity {
    ONNXFunctionIdentity(domain: domain, name: operatorType, overload: overload)
  }
}

extension ONNXModel {
  /// The most functions a model may have, and the most that may call each other in a row: the reference checker's limits.
  static let maximumFunctions = 10_000
  static let maximumCallDepth = 100

  /// Refuses functions of one identity and functions that call themselves.
  func checkFunctionCalls() throws(FormatError) {
    guard functions.count <= Self.maximumFunctions else {
      throw FormatError(
        .graphMalformed, expected: "at most \(Self.maximumFunctions) functions", found: "\(functions.count)")
    }
    var numbers: [ONNXFunctionIdentity: Int] = [:]
    for (number, function) in functions.enumerated() {
      guard numbers.updateValue(number, forKey: function.identity) == nil else {
        throw failure(.duplicateFunction, function)
      }
      guard function.name?.isEmpty == false else {
        throw FormatError(.graphMalformed, at: function.wire.location, expected: "a function with a name")
      }
      try checkParameters(function)
    }
    let calls = functions.map { function in
      Set(function.nodes.flatMap { $0.functionsCalled() }).compactMap { numbers[$0] }
    }
    try checkDepth(calls)
  }

  private func checkParameters(_ function: ONNXFunction) throws(FormatError) {
    var names: Set<ByteString> = []
    for name in function.attributes + function.attributeDefaults.map({ $0.name ?? "" }) {
      guard names.insert(name).inserted else {
        throw failure(.graphMalformed, function, expected: "parameters of different names", found: "two called \(name)")
      }
    }
    guard Set(function.outputs).count == function.outputs.count else {
      throw failure(.duplicateValue, function, expected: "outputs of different names")
    }
  }

  /// Takes away functions that call nothing (else), level by level; what remains calls itself.
  private func checkDepth(_ calls: [[Int]]) throws(FormatError) {
    var callers: [[Int]] = Array(repeating: [], count: calls.count)
    for (caller, callees) in calls.enumerated() { for callee in callees { callers[callee].append(caller) } }
    var open = calls.map(\.count)
    var depth = Array(repeating: 1, count: calls.count)
    var ready = open.indices.filter { open[$0] == 0 }
    var done = 0
    while let callee = ready.popLast() {
      done += 1
      for caller in callers[callee] {
        depth[caller] = max(depth[caller], depth[callee] + 1)
        open[caller] -= 1
        if open[caller] == 0 { ready.append(caller) }
      }
    }
    if done < calls.count, let number = open.firstIndex(where: { $0 > 0 }) {
      throw failure(
        .functionRecursion, functions[number], expected: "functions that do not call themselves",
        found: "a circle of calls")
    }
    if let number = depth.firstIndex(where: { $0 > Self.maximumCallDepth }) {
      throw failure(
        .functionRecursion, functions[number], expected: "at most \(Self.maximumCallDepth) calls in a row",
        found: "\(depth[number])")
    }
  }

  private func failure(
    _ code: DiagnosticCode<FormatDomain>, _ function: ONNXFunction, expected: String? = nil, found: String? = nil
  ) -> FormatError {
    FormatError(
      code, file: function.wire.path, subject: .node(function.name?.description ?? ""), at: function.wire.location,
      expected: expected, found: found)
  }
}

extension ONNXNode {
  /// What the node and those of its subgraphs would call.
  fileprivate func functionsCalled() -> [ONNXFunctionIdentity] {
    [functionIdentity]
      + attributes.flatMap { attribute in
        ((attribute.graph.map { [$0] } ?? []) + attribute.graphs).flatMap { $0.nodes.flatMap { $0.functionsCalled() } }
      }
  }
}
