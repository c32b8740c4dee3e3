import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The configuration names a model type that no architecture describes.
  public static let unknownArchitecture = Self("unknownArchitecture", "this architecture is not known")
  /// The architecture is known, but not with the head that the configuration's class has.
  public static let unsupportedClass = Self("unsupportedClass", "this model class is not supported")
  /// The configuration asks for a variant of the architecture that is not described.
  public static let unsupportedConfiguration = Self(
    "unsupportedConfiguration", "this variant of the architecture is not supported")
  /// A configuration value is missing, of the wrong kind or out of range.
  public static let configurationValue = Self("configurationValue", "the configuration value is not usable")
  /// There is no config.json beside the weights.
  public static let missingConfiguration = Self("missingConfiguration", "the checkpoint has no configuration")
  /// The checkpoint is quantised by another tool.
  public static let quantizedCheckpoint = Self("quantizedCheckpoint", "quantised checkpoints are not supported")
  /// The folder holds a low-rank adapter instead of a model, or beside it.
  public static let adapterCheckpoint = Self("adapterCheckpoint", "adapters are not supported")
  /// A parameter that the configuration asks for is not stored.
  public static let missingTensor = Self("missingTensor", "the tensor is missing")
  /// A stored tensor has no place in the model that the configuration describes.
  public static let unexpectedTensor = Self("unexpectedTensor", "the tensor has no place in this model")
  /// A stored tensor has another shape than the configuration asks for.
  public static let wrongShape = Self("wrongShape", "the shape does not fit the configuration")
  /// A parameter has an element type whose values are not single-precision numbers.
  public static let unexpectedParameterType = Self(
    "unexpectedParameterType", "the element type does not suit a parameter")
  /// Two stored tensors stand for the same parameter.
  public static let duplicateParameter = Self("duplicateParameter", "the parameter is stored twice")
  /// Half of a `torch.nn.utils.prune` pair is missing.
  public static let incompletePrunePair = Self("incompletePrunePair", "half of a prune pair is missing")
  /// The configuration of the model's class cannot hold the result.
  public static let cannotExpress = Self("cannotExpress", "the configuration cannot hold this")
  /// A changed graph lost an initializer that a stored tensor belongs to.
  public static let missingInitializer = Self("missingInitializer", "the graph has no initializer for the tensor")
}

extension FormatError {
  /// A parameter of a type that the program does not compute with.
  static func unexpectedParameterType(_ tensor: NamedTensor) -> FormatError {
    FormatError(
      .unexpectedParameterType, file: tensor.file, subject: .tensor(tensor.name),
      expected: "F32, F16, BF16 or an 8-bit float",
      found: "\(tensor.weight.type)")
  }
}
