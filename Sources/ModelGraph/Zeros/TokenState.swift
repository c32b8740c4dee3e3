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
///
/// Along an axis where all positions are alike only one is held, so that the scores of a long static sequence cost nothing.
public struct TokenState: Sendable {
  /// The extents for one token.
  public let shape: [Int]
  /// The extents that are held: the shape's, or 1 where all positions are alike.
  let held: [Int]
  /// The certainty of each held element, in row-major order.
  var packed: [ElementState]
  /// The number of each held element, where its state is `constant`; minus infinity where it may be that and nothing else that is not finite; 0
  /// elsewhere. In double precision, so that what is computed of it is rounded once where it is stored.
  var packedConstants: [Double]
  /// The axis along which elements add up to one, as those of a softmax do.
  var unitSumAxis: Int?
  /// States of more elements are not held; they are joined into one.
  static let limit = 1 << 20

  /// A state from its parts, every element held.
  public init(shape: [Int], states: [ElementState], constants: [Double]) {
    self.init(shape: shape, held: shape, packed: states, constants: constants)
  }

  init(shape: [Int], held: [Int], packed: [ElementState], constants: [Double]) {
    precondition(packed.count == constants.count, "one number per state")
    precondition(held.reduce(1, &*) == packed.count, "one state per held element")
    self.shape = shape
    self.held = held
    self.packed = packed
    packedConstants = constants
  }

  /// All elements in one state, a number where it is `constant`.
  public init(shape: [Int], all state: ElementState, number: Double = 0) {
    let isEmpty = shape.contains(0)
    self.init(
      shape: shape, held: isEmpty ? shape : Array(repeating: 1, count: shape.count), packed: isEmpty ? [] : [state],
      constants: isEmpty ? [] : [number])
  }

  /// A state of known numbers; not-a-number and infinities are poisoned.
  public init(shape: [Int], numbers: [Double]) {
    if let first = numbers.first, numbers.count == shape.reduce(1, *), numbers.allSatisfy({ $0 == first }) {
      let state: ElementState = first == 0 ? .zero : Float(first).isFinite ? .constant : .poisoned
      self.init(shape: shape, all: state, number: first)
      return
    }
    self.init(
      shape: shape, held: shape, packed: numbers.map { $0 == 0 ? .zero : Float($0).isFinite ? .constant : .poisoned },
      constants: numbers.map { Float($0).isFinite || $0 == -.infinity ? $0 : 0 })
  }

  /// The state of a constant tensor's elements.
  ///
  /// A double that is not zero but rounds to zero or to infinity in single precision is unknown, not zero.
  ///
  /// - Throws: errors of reading the file.
  init(_ weight: Weight) throws(FormatError) {
    let numbers = try weight.doubles()
    self.init(shape: weight.shape.extents, numbers: numbers)
    func isRounded(_ number: Double) -> Bool {
      number != 0 && number.isFinite && (Float(number) == 0 || !Float(number).isFinite)
    }
    guard weight.type == .f64, numbers.contains(where: isRounded) else { return }
    var dense = self.dense
    for index in dense.packed.indices where isRounded(numbers[index]) {
      dense.packed[index] = .unknown
      dense.packedConstants[index] = 0
    }
    self = dense
  }

  /// The certainty of each element, in row-major order.
  public var states: [ElementState] { dense.packed }

  /// The number of each element where its state is `constant`; 0 or minus infinity elsewhere.
  public var constants: [Double] { dense.packedConstants }

  /// The worst state of all elements.
  public var worst: ElementState { packed.max() ?? .zero }

  /// The same with every element held, however many.
  var dense: TokenState { held == shape ? self : gathered(to: shape) }
}

extension TokenState {
  /// What all elements have in common, in a tensor of another shape.
  func joined(shape: [Int]) -> TokenState {
    let (state, number) = join()
    return TokenState(shape: shape, all: state, number: number)
  }

  /// What all elements have in common.
  func join() -> (ElementState, Double) {
    guard let first = packed.first else { return (.zero, 0) }
    var result = (first, packedConstants[0])
    for index in packed.indices.dropFirst() { result = Self.join(result, (packed[index], packedConstants[index])) }
    return result
  }

  /// What two elements have in common. A zero and a constant are different numbers, so nothing is certain of which it is.
  static func join(_ a: (ElementState, Double), _ b: (ElementState, Double)) -> (ElementState, Double) {
    let worst = max(a.0, b.0)
    switch worst {
    case .zero: return (.zero, 0)
    case .constant: return a.0 == b.0 && a.1 == b.1 ? a : (.unknown, 0)
    case .unknown: return (.unknown, 0)
    case .poisoned:
      let isMask = [a, b].allSatisfy { $0.0 < .poisoned || $0.1 == -.infinity }
      return (.poisoned, isMask ? -.infinity : 0)
    }
  }

  /// The same state with other extents held: those that are now held are repeated, and so is the shape.
  private func gathered(to target: [Int]) -> TokenState {
    guard let index = BroadcastIndex(from: held, to: target) else { return joined(shape: shape) }
    let count = target.reduce(1, *)
    var states: [ElementState] = []
    var constants: [Double] = []
    states.reserveCapacity(count)
    constants.reserveCapacity(count)
    index.forEach(count) {
      states.append(packed[$0])
      constants.append(packedConstants[$0])
    }
    var result = TokenState(shape: shape, held: target, packed: states, constants: constants)
    result.unitSumAxis = unitSumAxis
    return result
  }

  /// The same with all positions of some axes held; all joined where that is too much.
  func holding(_ axes: some Sequence<Int>) -> TokenState {
    var target = held
    for axis in axes { target[axis] = shape[axis] }
    if target == held { return self }
    guard let count = target.product, count <= Self.limit else {
      // The join keeps the promise of one held element along every axis it is asked for.
      let (state, number) = join()
      return TokenState(shape: shape, all: state, number: number)
    }
    return gathered(to: target)
  }

  /// The states after a function is applied to every element; not-a-number and infinite results are poisoned.
  ///
  /// Only the function of zero is taken for zero. That of another constant may be zero by rounding alone, here and not in another runtime, so
  /// it stays a constant unless the function is exact.
  func mapped(isExact: Bool, _ function: (Double) -> Double) -> TokenState {
    var result = self
    result.unitSumAxis = nil
    for index in packed.indices {
      guard packed[index] <= .constant else {
        result.packedConstants[index] = 0
        continue
      }
      let value = function(packed[index] == .zero ? 0 : packedConstants[index])
      let isZero = value == 0 && (isExact || packed[index] == .zero)
      // What single precision does not hold is infinite in a model that computes in it.
      let isFinite = Float(value).isFinite
      result.packed[index] = isZero ? .zero : isFinite ? .constant : .poisoned
      result.packedConstants[index] = isFinite ? value : 0
    }
    return result
  }

  /// The same where constants are no longer the numbers they were: only zeros stay certain, and no sums.
  var withoutConstants: TokenState {
    var result = self
    result.unitSumAxis = nil
    for index in packed.indices where packed[index] == .constant {
      result.packed[index] = .unknown
      result.packedConstants[index] = 0
    }
    return result
  }

  /// The states of a result that is computed element by element from operands that broadcast to its shape; nil when they do not.
  static func combined(
    _ operands: [TokenState], shape: [Int], _ function: ([(ElementState, Double)]) -> (ElementState, Double)
  ) -> TokenState? {
    var held = Array(repeating: 1, count: shape.count)
    for operand in operands {
      guard operand.shape.count <= shape.count else { return nil }
      let offset = shape.count - operand.shape.count
      for axis in operand.shape.indices {
        guard operand.shape[axis] == shape[axis + offset] || operand.shape[axis] == 1 else { return nil }
        if operand.held[axis] != 1 { held[axis + offset] = operand.held[axis] }
      }
    }
    if shape.contains(0) { return TokenState(shape: shape, all: .zero) }
    guard let count = held.product, count <= limit else {
      let joint = function(operands.map { $0.join() })
      return TokenState(shape: shape, all: joint.0 == .constant ? .unknown : joint.0, number: 0)
    }
    var places: [[Int]] = []
    for operand in operands {
      guard let index = BroadcastIndex(from: operand.held, to: held) else { return nil }
      var list: [Int] = []
      list.reserveCapacity(count)
      index.forEach(count) { list.append($0) }
      places.append(list)
    }
    var result = TokenState(
      shape: shape, held: held, packed: Array(repeating: .unknown, count: count),
      constants: Array(repeating: 0, count: count))
    var elements = Array(repeating: (ElementState.zero, 0.0), count: operands.count)
    for index in 0..<count {
      for (slot, operand) in operands.enumerated() {
        let place = places[slot][index]
        elements[slot] = (operand.packed[place], operand.packedConstants[place])
      }
      (result.packed[index], result.packedConstants[index]) = function(elements)
    }
    return result
  }
}

extension [Int] {
  /// The product of extents; nil on overflow.
  var product: Int? {
    var result = 1
    for extent in self {
      let (next, overflow) = result.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      result = next
    }
    return result
  }
}
