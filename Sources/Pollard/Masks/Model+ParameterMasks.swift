import GraphCompaction
import ModelArchitectures
import PollardBase
import TensorStorage

extension DiagnosticCode where Domain == CompactionDomain {
  /// A mask file masks single parameters, and the model was opened without them.
  public static let masksNotApplied = Self(
    "masksNotApplied", "the file masks single parameters, which are not multiplied in")
}

extension Model {
  /// The model with what a mask file says of single parameters multiplied in; the same model for files that only mask units.
  ///
  ///     let model = try Model(at: "bert").masked(by: .file("masks.pt"))
  ///     let plan = try model.plan(masks: .file("masks.pt"))
  ///
  /// Nothing is computed: the product is formed when weights are read. Layers are those of the file, so it goes before `dropping(layers:)`.
  ///
  /// - Throws: `unknownMask`, `maskShape`, `maskValue`; `masksNotApplied` after layers were dropped; `optionDoesNotApply` for a model that is
  ///   no checkpoint of named parameters; what reading the file throws.
  /// - Complexity: O(size of the masks of parameters), read once to be checked.
  public func masked(by source: MaskSource?) throws -> Model {
    guard case .file(let path)? = source, masksFile != path, let arrays = try MaskArrays(file: path) else {
      return self
    }
    let tensors = stored.maskableTensors
    let factors: [String: Weight]
    let note: String
    try requireWhole(arrays)
    if GateConvention.recognizes(arrays) {
      let gates = try GateConvention(arrays, layers: storedLayers)
      factors = try gates.biases(tensors, path: path)
      let phrase = "the mask file holds \(GateConvention.phrase)"
      note = gates.note.map { phrase + ": " + $0 } ?? phrase + ", which multiply whole sub-layers too"
    } else if let masks = try parameterMasks(arrays) {
      try masks.checkValues(path: path)
      factors = masks.factors
      note = "the mask file holds \(masks.convention), multiplied in"
    } else {
      return self
    }
    if factors.isEmpty { return self }
    return Model(self, try stored.multiplied(by: factors, note: note), masksFile: path)
  }

  /// Whether the masks of a file are of parameters alone, so that the zeros they leave decide.
  func masksParametersOnly(_ path: String) throws -> Bool {
    guard masksFile != path else {
      guard let arrays = try MaskArrays(file: path) else { return false }
      return !GateConvention.recognizes(arrays)
    }
    guard let arrays = try MaskArrays(file: path), !GateConvention.recognizes(arrays) else { return false }
    return try parameterMasks(arrays) != nil
  }

  /// Checks that what a file says of parameters has been multiplied in.
  ///
  /// - Throws: `masksNotApplied`.
  func requireApplied(_ path: String) throws {
    guard masksFile != path, let arrays = try MaskArrays(file: path) else { return }
    let isMissing: Bool
    if GateConvention.recognizes(arrays) {
      let gates = try GateConvention(arrays, layers: storedLayers)
      isMissing = (gates.attention + gates.feedForward).contains { $0 != 1 }
    } else {
      isMissing = try parameterMasks(arrays) != nil
    }
    if isMissing {
      throw CompactionError(
        .masksNotApplied, file: path, expected: "the model as masked(by:) gives it", found: "the model as it is stored")
    }
  }

  /// Parameters are called after the layers of the file.
  private func requireWhole(_ arrays: MaskArrays) throws {
    if droppedLayers.isEmpty { return }
    let masksParameters: Bool
    if GateConvention.recognizes(arrays) {
      let gates = try GateConvention(arrays, layers: storedLayers)
      masksParameters = (gates.attention + gates.feedForward).contains { $0 != 1 }
    } else {
      masksParameters = !arrays.isPair && !arrays.arrays.contains { MaskArrays.isOfUnits($0.name) }
    }
    guard !masksParameters else {
      throw CompactionError(
        .masksNotApplied, file: arrays.path, expected: "all layers of the file", found: "a model without some of them",
        remedy: "mask the model before its layers are dropped")
    }
  }

  private func parameterMasks(_ arrays: MaskArrays) throws -> ParameterMasks? {
    let tensors = stored.maskableTensors
    if !tensors.isEmpty { return try ParameterMasks(arrays, tensors: tensors) }
    // A format whose tensors cannot be masked still tells that these are masks of parameters.
    let all = try stored.storedTensors().map { NamedTensor(name: $0.name, weight: $0.weight) }
    return try ParameterMasks(arrays, tensors: all)
  }
}
