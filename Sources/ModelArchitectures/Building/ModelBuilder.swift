import ModelGraph
import PollardBase
import TensorStorage

/// Builds a graph from the parameters of a checkpoint, remembering which initializer stands for which stored tensor.
struct ModelBuilder {
  /// The graph so far.
  private(set) var graph: GraphBuilder
  /// The checkpoint's tensors and which of them are taken.
  private(set) var tensors: CheckpointTensors
  /// One binding per taken tensor, in the order of taking.
  private(set) var bindings: [TensorBinding] = []
  /// Copies of tied parameters that the graph does not read, by position: the name of the parameter read instead.
  private(set) var copies: [Int: String] = [:]
  /// Things worth telling about the import.
  private(set) var notes: [String] = []
  private var bindingOfParameter: [String: Int] = [:]

  init(name: String, tensors: CheckpointTensors) {
    graph = GraphBuilder(name: name)
    self.tensors = tensors
  }

  /// The label of nodes added from now on: the module's path.
  var scope: String {
    get { graph.scope }
    set { graph.scope = newValue }
  }

  // MARK: Nodes

  /// Adds a node with one result.
  mutating func add(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:]
  ) throws(FormatError) -> ValueID {
    do throws(GraphError) { return try graph.add(op, inputs, attributes) } catch { throw Self.failure(error) }
  }

  /// Adds a node with several results.
  mutating func add(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:], outputs: Int
  ) throws(FormatError) -> [ValueID] {
    do throws(GraphError) {
      return try graph.add(op, inputs, attributes, outputs: outputs)
    } catch {
      throw Self.failure(error)
    }
  }

  /// Shapes from files are checked before they get here, so an operator only objects to a combination nobody foresaw.
  private static func failure(_ error: GraphError) -> FormatError {
    FormatError(
      .unsupportedConfiguration, subject: error.subject, expected: error.expected,
      found: error.found ?? error.code.summary)
  }

  /// Adds an input `[batch, sequence]` of 64-bit integers; a second text of its own length has another name for it.
  mutating func tokenInput(
    _ name: String, length: String = "sequence", derivedBy rule: DerivedInput? = nil
  ) -> ValueID {
    graph.input(name, ValueType(.i64, [.symbol("batch"), .symbol(length)]), derivedBy: rule)
  }

  /// Adds a list of integers, as shapes are.
  mutating func integers(_ values: [Int]) -> ValueID { graph.integers(values) }

  /// Adds an integer scalar.
  mutating func integerScalar(_ value: Int) -> ValueID { graph.integerScalar(value) }

  /// Adds a scalar.
  mutating func scalar(_ value: Float) -> ValueID { graph.scalar(value) }

  /// Adds a computed constant that no stored tensor stands for.
  mutating func constant(_ name: String, _ weight: Weight) -> ValueID { graph.initializer(name, weight) }

  /// Declares an output.
  mutating func output(_ name: String, _ id: ValueID) { graph.output(name, id) }

  /// Names the hidden state before a layer (or after the last one).
  mutating func tapHiddenState(_ index: Int, _ id: ValueID) { graph.tap("hidden_states.\(index)", id) }

  /// Names a value between inputs and outputs.
  mutating func tap(_ name: String, _ id: ValueID) { graph.tap(name, id) }

  /// Adds something worth telling.
  mutating func note(_ text: String) { notes.append(text) }

  // MARK: Parameters

  /// Whether a parameter is stored.
  func has(_ name: String) -> Bool { tensors.contains(name) }

  /// A parameter as stored, in single precision, with a number added to every element.
  mutating func parameter(_ name: String, _ shape: [Int], plus addend: Float = 0) throws(FormatError) -> ValueID {
    try bind(name, shape, transposed: false, plus: addend)
  }

  /// Vectors `[width]`, as an initializer `[number of names, width]`.
  mutating func stackedParameter(_ names: [String], width: Int) throws(FormatError) -> ValueID {
    var positions: [Int] = []
    for name in names { positions.append(try tensors.take(name, [width])) }
    let rows = positions.map { tensors.tensors[$0].weight.cast(to: .f32).reshaped([1, width]) }
    guard let first = positions.first else { preconditionFailure("a stack has a row") }
    let name = "\(tensors.tensors[first].name) (stacked)"
    let value = graph.initializer(name, .concatenated(rows, axis: 0))
    for (row, position) in positions.enumerated() {
      let tensor = tensors.tensors[position]
      bindings.append(
        TensorBinding(
          tensor: tensor.name, value: value, initializer: name, isTransposed: false, storedType: tensor.weight.type,
          storedShape: tensor.weight.shape, row: row, position: position))
    }
    return value
  }

  /// A matrix stored `[outputs, inputs]`, as an initializer `[inputs, outputs]`.
  mutating func transposedMatrix(_ name: String, outputs: Int, inputs: Int) throws(FormatError) -> ValueID {
    try bind(name, [outputs, inputs], transposed: true, plus: 0)
  }

  private mutating func bind(
    _ name: String, _ shape: [Int], transposed: Bool, plus addend: Float
  ) throws(FormatError) -> ValueID {
    let position = try tensors.take(name, shape)
    let tensor = tensors.tensors[position]
    var single = tensor.weight.cast(to: .f32)
    if addend != 0 { single = single.adding(.constant(addend, rank: shape.count)) }
    let value = graph.initializer(tensor.name, transposed ? single.transposed() : single)
    bindingOfParameter[name] = bindings.count
    bindings.append(
      TensorBinding(
        tensor: tensor.name, value: value, initializer: tensor.name, isTransposed: transposed,
        storedType: tensor.weight.type, storedShape: tensor.weight.shape, addend: addend, position: position))
    return value
  }

  /// The output matrix of a language model: its own, or the embedding's `[outputs, inputs]` when the two are tied.
  ///
  /// A tied matrix may be stored or not. When it is stored and differs from the embedding, releases of transformers
  /// disagree: 4.x overwrites it with the embedding, 5.x keeps both apart, and so does this.
  mutating func outputMatrix(
    _ name: String, tiedTo embedding: String, isTied: Bool, outputs: Int, inputs: Int
  ) throws(FormatError) -> ValueID {
    guard isTied, let slot = bindingOfParameter[embedding] else {
      return try transposedMatrix(name, outputs: outputs, inputs: inputs)
    }
    let source = tensors.tensors[bindings[slot].position]
    if let copy = tensors.tensor(name) {
      guard copy.weight.type == source.weight.type, copy.weight.shape == source.weight.shape,
        try copy.weight.hasSameBytes(as: source.weight)
      else {
        note("\"\(copy.name)\" is stored with other values than \"\(source.name)\", which config.json ties it to")
        return try transposedMatrix(name, outputs: outputs, inputs: inputs)
      }
      copies[try tensors.take(name, [outputs, inputs])] = source.name
    }
    let initializer = "\(source.name) (transposed)"
    bindings[slot].tiedInitializers.append(initializer)
    return graph.initializer(initializer, source.weight.cast(to: .f32).transposed())
  }

  /// A parameter that may be stored under several names, all of them the same tensor.
  ///
  /// - Throws: `duplicateParameter` when two of them hold different values.
  mutating func sharedParameter(_ names: [String], _ shape: [Int]) throws(FormatError) -> ValueID {
    let stored = names.filter(tensors.contains)
    let result = try parameter(stored.first ?? names[0], shape)
    for name in stored.dropFirst() {
      let position = try tensors.take(name, shape)
      guard let source = tensors.tensor(stored[0]) else { continue }
      let copy = tensors.tensors[position]
      guard copy.weight.type == source.weight.type, try copy.weight.hasSameBytes(as: source.weight) else {
        throw FormatError(
          .duplicateParameter, file: copy.file, subject: .tensor(copy.name),
          expected: "the values of \"\(source.name)\"",
          found: "others")
      }
      copies[position] = source.name
    }
    return result
  }

  /// A bias stored under one or two names, as output biases of language models are; the second is a copy.
  mutating func bias(_ names: [String], _ width: Int) throws(FormatError) -> ValueID {
    let stored = names.filter(tensors.contains)
    let result = try parameter(stored.first ?? names[0], [width])
    for name in stored.dropFirst() {
      copies[try tensors.take(name, [width])] = tensors.tensor(stored[0])?.name ?? stored[0]
    }
    return result
  }
}

extension Weight {
  /// One number with as many axes of extent 1 as it is to be broadcast over.
  static func constant(_ value: Float, rank: Int) -> Weight {
    .floats([value], shape: Shape(Array(repeating: 1, count: rank)))
  }

  /// Whether two weights of one type and shape hold the same bytes; stops reading at the first difference.
  func hasSameBytes(as other: Weight) throws(FormatError) -> Bool {
    if structuralIdentity == other.structuralIdentity { return true }
    let total = shape.elementCount
    let width = type.byteCount ?? 1
    let step = 1 << 18
    var scratch = EvaluationScratch()
    var first = [UInt8](repeating: 0, count: min(step, total) * width)
    var second = first
    var start = 0
    while start < total {
      let end = min(total, start + step)
      let count = (end - start) * width
      try read(elements: start..<end, into: &first, count: count, &scratch)
      try other.read(elements: start..<end, into: &second, count: count, &scratch)
      if first[..<count] != second[..<count] { return false }
      start = end
    }
    return true
  }

  private func read(
    elements: Range<Int>, into bytes: inout [UInt8], count: Int, _ scratch: inout EvaluationScratch
  ) throws(FormatError) {
    var failure: FormatError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(FormatError) {
        try read(elements: elements, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), scratch: &scratch)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
}
