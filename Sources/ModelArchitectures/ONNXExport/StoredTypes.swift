import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// The element type in which each weight of an export is written.
struct StoredTypes {
  private var byInitializer: [String: ElementType] = [:]
  /// Things worth telling.
  private(set) var notes: [String] = []

  /// The types that files may have; others are written in single precision.
  static let writable: Set<ElementType> = [.f32, .f16, .bf16]

  /// - Throws: `unsupported` for a type that cannot be asked for, or not in the operator set.
  init(_ bindings: [TensorBinding], options: ONNXExport.Options) throws(GraphError) {
    if let type = options.type, !Self.writable.contains(type) {
      throw GraphError(.unsupported, subject: .option("the type"), expected: "f32, f16 or bf16", found: "\(type)")
    }
    let lacksBrain = options.operatorSet < 13
    if options.type == .bf16, lacksBrain {
      throw GraphError(
        .unsupported, subject: .option("the type"), expected: "operator set 13 or newer for bf16",
        found: "\(options.operatorSet)")
    }
    var widened: Set<ElementType> = []
    for binding in bindings {
      // A sum need not be a number of the type in which its first term is stored.
      var type = options.type ?? (binding.addend == 0 ? binding.storedType : .f32)
      if !Self.writable.contains(type) || (type == .bf16 && lacksBrain) {
        widened.insert(type)
        type = .f32
      }
      byInitializer[binding.initializer] = type
    }
    for type in widened.sorted(by: { $0.rawValue < $1.rawValue }) {
      notes.append("weights stored as \(type) are written as F32, because ONNX Runtime does not run them in their type")
    }
    let narrow = Set(byInitializer.values).subtracting([.f32])
    if !narrow.isEmpty {
      let names = narrow.sorted { $0.rawValue < $1.rawValue }.map(\.description).joined(separator: " and ")
      notes.append("weights are written as \(names) and computed with in F32, as ONNX Runtime's processor kernels ask")
    }
  }

  /// The type for an initializer of an import.
  subscript(initializer: String) -> ElementType { byInitializer[initializer] ?? .f32 }
}

extension Graph {
  /// Computes matrices tied to another tensor from it, so that the file holds it once.
  ///
  ///     logits = MatMul(x, word (transposed))  →  word (transposed) = Transpose(word);  logits = MatMul(x, word (transposed))
  mutating func tieMatrices(_ bindings: [TensorBinding]) {
    let names = valuesByName
    for binding in bindings {
      guard let original = names[binding.initializer], let weight = self[original].initializer else { continue }
      for name in binding.tiedInitializers {
        guard let twin = names[name], let content = self[twin].initializer, weight.shape.rank == 2,
          content == weight.transposed()
        else { continue }
        self[twin].initializer = nil
        insert(
          Node(
            OperatorName("Transpose"), name: "\(self[original].name)/Transpose", inputs: [original], outputs: [twin],
            attributes: ["perm": .integers([1, 0])]), beforeUsesOf: twin)
      }
    }
  }

  /// Turns initializers to the types in which they are written, and casts what comes of them.
  ///
  ///     y = MatMul(x, W: F32)      →  w = Cast(W: F16, to: F32);  y = MatMul(x, w)
  ///     y = Gather(E: F32, i)      →  e = Gather(E: F16, i);  y = Cast(e, to: F32)                        Transpose alike
  mutating func store(_ bindings: [TensorBinding], _ types: StoredTypes) {
    let names = valuesByName
    var narrow: [ValueID: ElementType] = [:]
    for binding in bindings {
      for name in [binding.initializer] + binding.tiedInitializers {
        let type = types[binding.initializer]
        if let id = names[name], self[id].initializer != nil, type != .f32 { narrow[id] = type }
      }
    }
    guard !narrow.isEmpty else { return }
    var casts: [ValueID: ValueID] = [:]
    var result: [Node] = []
    for var node in nodes {
      let movesOnly = ["Gather", "Transpose"].contains(node.op.description)
      if movesOnly, let table = node.input(0), let type = narrow[table], let output = node.outputs[0] {
        let taken = addValue(
          Value(name: "\(self[output].name)/\(type)", type: ValueType(type, self[output].type?.shape)))
        node.outputs[0] = taken
        result.append(node)
        result.append(cast(taken, to: output, like: node))
        continue
      }
      for (slot, input) in node.inputs.enumerated() {
        guard let input, narrow[input] != nil else { continue }
        if casts[input] == nil {
          let wide = addValue(Value(name: "\(self[input].name)/F32", type: self[input].type))
          result.append(cast(input, to: wide, like: node))
          casts[input] = wide
        }
        node.inputs[slot] = casts[input]
      }
      result.append(node)
    }
    replaceNodes(result)
    for (id, type) in narrow {
      self[id].initializer = self[id].initializer?.cast(to: type)
      self[id].type?.element = type
    }
  }

  /// Gives matrices that are written the other way round than they are stored a name that says so.
  mutating func nameTransposed(_ bindings: [TensorBinding]) {
    let names = valuesByName
    for binding in bindings {
      let tied = binding.tiedInitializers.map { ($0, binding.initializer) }
      for (name, stored) in (binding.isTransposed ? [(binding.initializer, binding.initializer)] : []) + tied {
        guard let id = names[name] else { continue }
        let wish = "\(stored).transposed"
        if names[wish] == nil { self[id].name = wish }
      }
    }
  }

  private var valuesByName: [String: ValueID] {
    var names: [String: ValueID] = [:]
    for id in initializers { names[self[id].name] = id }
    for node in nodes { for case let output? in node.outputs { names[self[output].name] = output } }
    return names
  }

  private func cast(_ x: ValueID, to y: ValueID, like node: Node) -> Node {
    Node(
      OperatorName("Cast"), name: "\(self[y].name)/Cast", inputs: [x], outputs: [y],
      attributes: ["to": .onnxType(.f32)],
      scope: node.scope, region: node.region)
  }

  private mutating func insert(_ node: Node, beforeUsesOf value: ValueID) {
    var result = nodes
    let first = result.firstIndex { $0.inputs.contains(value) } ?? result.endIndex
    var placed = node
    if first < result.endIndex { placed.scope = result[first].scope }
    result.insert(placed, at: first)
    replaceNodes(result)
  }
}
