import PollardBase
import TensorStorage

/// A tensor in memory: elements of one type, and where each of them lies.
///
/// Several tensors may look at the same memory: transposing, cutting and most reshaping only change how it is walked. A tensor
/// never changes. Elements are in memory as F32, F64, integers of 8 to 64 bits, or BOOL; narrower types are held in these.
///
///     let ids = Tensor(integers: [101, 2023, 102], extents: [1, 3])
///     let result = try executor.run(inputs: ["input_ids": ids])
///     let state = result["last_hidden_state"]?.floats()
public struct Tensor: Sendable {
  /// The type that the elements have in memory.
  public let type: ElementType
  /// The type that the graph gives the elements: for F16 in F32 the numbers are such as F16 holds; otherwise `type` itself.
  public let declaredType: ElementType
  /// The extent of each axis, outermost first.
  public let extents: [Int]
  /// Elements from one position of each axis to the next.
  let strides: [Int]
  /// The first element's place in the buffer, in elements.
  let offset: Int
  var buffer: TensorBuffer
  /// What the value is when it is no tensor; then it has no elements.
  let compound: CompoundValue?

  init(
    type: ElementType, declared: ElementType? = nil, extents: [Int], strides: [Int], offset: Int, buffer: TensorBuffer,
    compound: CompoundValue? = nil
  ) {
    self.type = type
    declaredType = declared ?? type
    self.extents = extents
    self.strides = strides
    self.offset = offset
    self.buffer = buffer
    self.compound = compound
  }

  /// The number of axes.
  public var rank: Int { extents.count }

  /// The number of elements; 1 for a scalar.
  ///
  /// - Complexity: O(rank)
  public var elementCount: Int { extents.contains(0) ? 0 : extents.reduce(1, *) }

  /// A F32 tensor, row-major.
  ///
  /// - Precondition: there are as many values as the extents say.
  public init(floats values: [Float], extents: [Int]) { self.init(elements: values, extents: extents) }

  /// A F64 tensor, row-major.
  ///
  /// - Precondition: there are as many values as the extents say.
  public init(doubles values: [Double], extents: [Int]) { self.init(elements: values, extents: extents) }

  /// An I64 tensor, row-major.
  ///
  /// - Precondition: there are as many values as the extents say.
  public init(integers values: [Int64], extents: [Int]) { self.init(elements: values, extents: extents) }

  /// An I32 tensor, row-major.
  ///
  /// - Precondition: there are as many values as the extents say.
  public init(narrowIntegers values: [Int32], extents: [Int]) { self.init(elements: values, extents: extents) }

  /// A BOOL tensor, row-major.
  ///
  /// - Precondition: there are as many values as the extents say.
  public init(truths values: [Bool], extents: [Int]) {
    self.init(elements: values.map { UInt8($0 ? 1 : 0) }, extents: extents)
  }

  /// A STRING tensor, row-major.
  ///
  /// - Precondition: there are as many values as the extents say.
  public init(strings values: [[UInt8]], extents: [Int]) {
    self.init(elements: values.map(StringTable.number(of:)), extents: extents, as: .string)
  }

  init<Element: TensorElement>(elements values: [Element], extents: [Int], as type: ElementType? = nil) {
    precondition(extents.allSatisfy { $0 >= 0 }, "extents are never negative")
    let count = extents.contains(0) ? 0 : extents.reduce(1, *)
    precondition(count == values.count, "a tensor has as many elements as its extents say")
    let size = MemoryLayout<Element>.stride
    let buffer = TensorBuffer(byteCount: values.count * size)
    values.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { buffer.base.copyMemory(from: base, byteCount: bytes.count) }
    }
    self.init(
      type: type ?? Element.elementType, extents: extents, strides: rowMajorStrides(extents), offset: 0, buffer: buffer)
  }

  /// The elements of a F32 tensor, row-major; other types are converted, truth values to 0 and 1.
  ///
  /// - Complexity: O(number of elements).
  public func floats() -> [Float] { type == .f32 ? elements(Float.self) : numbers() }

  /// The elements as double-precision numbers, row-major.
  ///
  /// - Complexity: O(number of elements).
  public func doubles() -> [Double] { type == .f64 ? elements(Double.self) : numbers() }

  private func numbers<Number: BinaryFloatingPoint>() -> [Number] {
    func wholes<Element: IntegerElement>(_ element: Element.Type) -> [Number] { elements(element).map { Number($0) } }
    switch type {
    case .f32: return elements(Float.self).map { Number($0) }
    case .f64: return elements(Double.self).map { Number($0) }
    default:
      let element = type.wholeElement
      return wholes(element)
    }
  }

  /// The elements of a tensor of integers or truth values, row-major; numbers from 2^63 on wrap around.
  ///
  /// - Precondition: the elements are integers or truth values.
  /// - Complexity: O(number of elements).
  public func integers() -> [Int64] {
    func wholes<Element: IntegerElement>(_ element: Element.Type) -> [Int64] {
      elements(element).map { Int64(truncatingIfNeeded: $0) }
    }
    if type == .i64 { return elements(Int64.self) }
    precondition(!type.isFloatingPoint && type != .string, "only integers are read as such")
    let element = type.wholeElement
    return wholes(element)
  }

  /// As `integers`, strings as their numbers in the table: equal strings have equal numbers.
  ///
  /// - Precondition: the elements are no floating-point numbers.
  package func wholeNumbers() -> [Int64] { type == .string ? elements(Int64.self) : integers() }

  /// The elements of a tensor of strings, row-major, as bytes.
  ///
  /// - Precondition: the element type is STRING.
  public func strings() -> [[UInt8]] {
    precondition(type == .string, "only strings are read as such")
    return elements(Int64.self).map(StringTable.string)
  }

  /// The elements of a tensor of truth values, row-major.
  ///
  /// - Precondition: the element type is BOOL.
  /// - Complexity: O(number of elements).
  public func truths() -> [Bool] {
    precondition(type == .bool, "only truth values are read as such")
    return elements(UInt8.self).map { $0 != 0 }
  }

  /// Calls a function with the elements of a F32 tensor, row-major, without copying them where they lie so already.
  ///
  /// - Precondition: the element type is F32.
  public func withFloats<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(type == .f32, "the elements are F32")
    let dense = contiguous()
    defer { withExtendedLifetime(dense.buffer) {} }
    return try body(UnsafeBufferPointer(start: dense.pointer(Float.self), count: elementCount))
  }

  /// The first element. The caller keeps the tensor alive.
  func pointer<Element: TensorElement>(_ type: Element.Type) -> UnsafePointer<Element> {
    precondition(Element.represents(self.type), "elements are read as what they are")
    return UnsafePointer(buffer.base.assumingMemoryBound(to: Element.self) + offset)
  }

  /// The first element as bits, for evaluators that only move elements.
  func bits<Bits: FixedWidthInteger>(_ type: Bits.Type) -> UnsafePointer<Bits> {
    precondition(MemoryLayout<Bits>.size == self.type.computedByteCount, "bits are as wide as elements")
    return UnsafePointer(buffer.base.assumingMemoryBound(to: Bits.self) + offset)
  }

  func elements<Element: TensorElement>(_ type: Element.Type) -> [Element] {
    let dense = contiguous()
    defer { withExtendedLifetime(dense.buffer) {} }
    return Array(UnsafeBufferPointer(start: dense.pointer(type), count: elementCount))
  }
}

/// Elements from one position of each axis to the next in a dense row-major tensor.
func rowMajorStrides(_ extents: [Int]) -> [Int] {
  var strides = extents
  var stride = 1
  for axis in extents.indices.reversed() {
    strides[axis] = stride
    // Those of a tensor without elements are never followed, so they may be anything.
    stride &*= max(extents[axis], 1)
  }
  return strides
}
