import PollardBase
import TensorStorage

/// What is certain about one element of a value, whatever the model's input.
public enum ElementState: UInt8, Sendable, Comparable {
  /// Zero for every input.
  case zero
  /// The same finite number for every input and every token.
  case constant
  /// Anything finite.
  case unknown
  /// Possibly not a number or infinite: a product with zero is not certain to be zero.
  case poisoned

  /// Ordered from most to least certain.
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What is certain about every element of a value for a single token: symbolic extents are taken as 1, known ones as they are.
public struct TokenState: Sendable {
  /// The extents for one token.
  public let shape: [Int]
  /// The certainty of each element, in row-major order.
  public var states: [ElementState]
  /// The number, where the state is `constant`; 0 elsewhere.
  public var constants: [Float]

  /// A state from its parts.
  public init(shape: [Int], states: [ElementState], constants: [Float]) {
    precondition(states.count == constants.count, "one number per state")
    self.shape = shape
    self.states = states
    self.constants = constants
  }

  /// All elements in one state without a number.
  public init(shape: [Int], all state: ElementState) {
    let count = shape.reduce(1, *)
    self.init(
      shape: shape, states: Array(repeating: state, count: count), constants: Array(repeating: 0, count: count))
  }

  /// A state of known numbers; not-a-number and infinities are poisoned.
  public init(shape: [Int], numbers: [Float]) {
    self.init(
      shape: shape, states: numbers.map { $0 == 0 ? .zero : $0.isFinite ? .constant : .poisoned },
      constants: numbers.map { $0.isFinite ? $0 : 0 })
  }

  /// The state of a constant tensor's elements.
  ///
  /// A double that is not zero but rounds to zero or to infinity in single precision is unknown, not zero.
  ///
  /// - Throws: errors of reading the file.
  init(_ weight: Weight) throws(FormatError) {
    self.init(shape: weight.shape.extents, numbers: try weight.cast(to: .f32).floats())
    guard weight.type == .f64 else { return }
    let content = try weight.bytes()
    for index in states.indices where states[index] != .constant {
      let pattern = content[index * 8..<index * 8 + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let value = Double(bitPattern: pattern)
      if value != 0, value.isFinite { states[index] = .unknown }
    }
  }

  /// The worst state of all elements.
  public var worst: ElementState { states.max() ?? .zero }
}
