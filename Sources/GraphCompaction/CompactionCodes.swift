import PollardBase

extension DiagnosticCode where Domain == CompactionDomain {
  /// A mask has another number of layers or units than the model.
  public static let maskShape = Self("maskShape", "the mask does not fit the model")
  /// A mask holds a number that is not finite.
  public static let maskValue = Self("maskValue", "the mask holds a number that cannot be used")
  /// A mask removes nearly everything, as one with its meaning turned round does.
  public static let implausibleMask = Self(
    "implausibleMask", "the mask removes nearly every unit, and none of them is zero")
  /// A mask removes units of a layer in which none can be removed.
  public static let notRemovable = Self("notRemovable", "units of this layer cannot be removed")
  /// A weight of a unit that is to go is not a finite number, so the unit is not certain to contribute nothing.
  public static let notFinite = Self("notFinite", "a weight of a declared unit is not finite")
  /// Groups of a layer would keep different numbers of query heads.
  public static let unevenGroups = Self(
    "unevenGroups", "the groups of a layer would keep different numbers of query heads")
  /// Units that are to go share blocks of packed numbers with units that stay.
  public static let cutsThroughBlocks = Self(
    "cutsThroughBlocks", "the cut goes through blocks of packed numbers, which cannot be parted without rounding anew")
  /// Fill in packed weights cannot be kept silent by what makes it.
  public static let notSilenced = Self(
    "notSilenced", "units that stay as fill cannot be made to contribute nothing without touching packed weights")
  /// The wanted counts are reached only by keeping units as fill, which the request forbids.
  public static let paddingNeeded = Self(
    "paddingNeeded", "the request cannot be met without keeping some units as fill")
  /// The loader that was asked for cannot open the output, whatever is removed.
  public static let cannotLoad = Self("cannotLoad", "this loader cannot open the output")
  /// No rule describes the loader that was asked for.
  public static let unknownLoader = Self("unknownLoader", "nothing is known about this loader")
  /// Layers that must be alike have different numbers of units to begin with.
  public static let layersDiffer = Self("layersDiffer", "the layers cannot all have the same number of units")
  /// Two graphs that should be one model before and after compaction do not match.
  public static let noMatch = Self("noMatch", "the two models do not match")
  /// The smaller graph is not what was planned; a defect of the program, and nothing is written.
  public static let inconsistent = Self("inconsistent", "the smaller graph is not what was planned")
  /// A request names a layer that the model does not have, or all of them.
  public static let noSuchLayer = Self("noSuchLayer", "there is no such layer to remove")
  /// Names and wiring of a graph do not tell for certain where the stream of hidden states enters and leaves a layer.
  public static let streamUncertain = Self(
    "streamUncertain", "it is not certain where hidden states enter and leave the layer")
}
