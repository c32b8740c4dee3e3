/// What a caller wants to be able to remove, beside the heads and neurons of layers.
public struct DimensionOptions: Sendable, Hashable {
  /// Whether units outside of layers are offered: channels of convolutions, hidden layers of classifiers, heads tied over layers.
  public var offersOthers: Bool
  /// Whether the channels within heads are offered: value size and score size.
  public var offersSizes: Bool
  /// Whether cache inputs and outputs may change their shape with the units they hold.
  public var changesCaches: Bool
  /// Other graph inputs and outputs that may change their shape.
  public var changedInterface: Set<String>
  /// Whether a table that several layers add to their scores may be read through a list of heads in each, so that every layer has heads of its own.
  public var loosensTies: Bool

  /// Creates options.
  public init(
    offersOthers: Bool, offersSizes: Bool = false, changesCaches: Bool, changedInterface: Set<String> = [],
    loosensTies: Bool
  ) {
    self.offersOthers = offersOthers
    self.offersSizes = offersSizes
    self.changesCaches = changesCaches
    self.changedInterface = changedInterface
    self.loosensTies = loosensTies
  }

  /// For checkpoints, whose loaders rebuild the graph: heads and neurons of layers only.
  public static let checkpoint = DimensionOptions(offersOthers: false, changesCaches: false, loosensTies: false)
  /// For files that hold the graph itself.
  public static let graph = DimensionOptions(offersOthers: true, changesCaches: true, loosensTies: true)
}
