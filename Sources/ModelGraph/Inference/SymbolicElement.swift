/// One element of a small integer tensor, as far as it is known before the model runs.
public struct SymbolicElement: Sendable, Hashable {
  /// The number as a size; nil when it depends on data.
  public var size: Size?
  /// The axes whose extents flowed into the number.
  public var origins: Set<AxisReference>

  /// Creates an element.
  public init(_ size: Size?, origins: Set<AxisReference> = []) {
    self.size = size
    self.origins = origins
  }
}

/// One axis of one value.
public struct AxisReference: Sendable, Hashable {
  /// The value.
  public var value: ValueID
  /// The axis, counted from the outermost.
  public var axis: Int

  /// Creates a reference.
  public init(_ value: ValueID, _ axis: Int) {
    self.value = value
    self.axis = axis
  }
}
