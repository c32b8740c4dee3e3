import TensorStorage

/// A value of a graph that is no tensor. It travels as a `Tensor` without elements, so that whoever takes it for one finds nothing.
enum CompoundValue: Sendable {
  /// Tensors in order.
  case sequence([Tensor])
  /// An optional value that is not there. One that is there is the value itself.
  case absent

  /// What it is, for messages.
  var phrase: String {
    switch self {
    case .sequence(let elements): "a sequence of \(elements.count)"
    case .absent: "an empty optional value"
    }
  }
}

extension Tensor {
  private init(_ compound: CompoundValue) {
    self.init(
      type: .bool, extents: [0], strides: [1], offset: 0, buffer: TensorBuffer(byteCount: 1), compound: compound)
  }

  /// A sequence of tensors, as a value that graphs take and give.
  ///
  ///     let result = try executor.run(inputs: ["pieces": Tensor(sequence: [first, second])])
  public init(sequence elements: [Tensor]) { self.init(.sequence(elements)) }

  /// The optional value that is not there.
  public static let absent = Tensor(.absent)

  /// The tensors of a sequence; nil when the value is none.
  public var sequence: [Tensor]? {
    if case .sequence(let elements)? = compound { elements } else { nil }
  }

  /// Whether this is the optional value that is not there.
  public var isAbsent: Bool {
    if case .absent? = compound { true } else { false }
  }

  /// Whether the value is neither a sequence nor absent.
  public var isTensor: Bool { compound == nil }

  /// The value as one tensor, to compare values by: a tensor is itself; a sequence is its count, then extents and elements of each of its
  /// tensors in a row, as F32 where all of them are, as I64 where none has fractions, else as F64; an absent value has no elements.
  ///
  /// - Complexity: O(number of elements).
  public var comparable: Tensor {
    guard let compound else { return self }
    guard case .sequence(let elements) = compound else { return Tensor(floats: [], extents: [0]) }
    if elements.allSatisfy({ $0.type == .f32 }) {
      return Self.inRow(elements, { Float($0) }, { $0.floats() }) { Tensor(floats: $0, extents: [$0.count]) }
    }
    if elements.allSatisfy({ !$0.type.isFloatingPoint }) {
      return Self.inRow(elements, { Int64($0) }, { $0.wholeNumbers() }) { Tensor(integers: $0, extents: [$0.count]) }
    }
    return Self.inRow(elements, { Double($0) }, { $0.doubles() }) { Tensor(doubles: $0, extents: [$0.count]) }
  }

  private static func inRow<Number>(
    _ elements: [Tensor], _ number: (Int) -> Number, _ numbers: (Tensor) -> [Number], _ tensor: ([Number]) -> Tensor
  ) -> Tensor {
    var row = [number(elements.count)]
    for element in elements { row += element.extents.map(number) + numbers(element) }
    return tensor(row)
  }

  /// The tensors of a value by name: a tensor itself, those of a sequence as `name.0`, `name.1` …, nothing of an absent value.
  public func parts(named name: String) -> [(name: String, tensor: Tensor)] {
    if isAbsent { return [] }
    return sequence.map { $0.enumerated().map { ("\(name).\($0)", $1) } } ?? [(name, self)]
  }
}
