import GraphCompaction
import ModelArchitectures
import PollardBase
import TensorStorage

/// Masks of single weights in a mask file: for parameters of a model, arrays of their shape that they are multiplied by.
///
/// | name of the array | from |
/// |-------------------|------|
/// | `X_mask` | the masks of `torch.nn.utils.prune`, and of `pollard mask` |
/// | `X.mask` | scripts |
/// | `X` itself | NNI's dictionary of modules, `{module: {"weight": …, "bias": …}}`, and scripts |
///
/// Names may have the prefix `module.`, and the base model's or not.
struct ParameterMasks {
  /// What wrote such files, in words.
  let convention: String
  /// The arrays by the names of the stored tensors they mask.
  let factors: [String: Weight]
  /// Whether the arrays have the parameters' own names.
  private let isPlain: Bool

  private enum Form: Hashable {
    case pruneMask, dotted, plain

    var suffix: String {
      switch self {
      case .pruneMask: "_mask"
      case .dotted: ".mask"
      case .plain: ""
      }
    }
  }

  /// Nil where no array is called after a parameter.
  ///
  /// - Throws: `unknownMask` for an array that belongs to no parameter among others that do, or for names of more than one form; `maskShape`.
  init?(_ arrays: MaskArrays, tensors: [NamedTensor]) throws {
    if arrays.isPair || arrays.arrays.contains(where: { MaskArrays.isOfUnits($0.name) }) { return nil }
    let names = ParameterNames(tensors)
    var factors: [String: Weight] = [:]
    var forms: [Form: String] = [:]
    var strangers: [String] = []
    for (name, weight) in arrays.arrays {
      guard let (form, position) = Self.match(name, weight, names, tensors) else {
        strangers.append(name)
        continue
      }
      let tensor = tensors[position]
      forms[form] = forms[form] ?? name
      guard weight.shape == tensor.weight.shape else {
        throw CompactionError(
          .maskShape, file: arrays.path, subject: .tensor(name), expected: "\(tensor.weight.shape), as \(tensor.name)",
          found: "\(weight.shape)")
      }
      guard weight.type.canBeCast(to: .f32), tensor.weight.type.isFloatingPoint else {
        throw CompactionError(
          .unknownMask, file: arrays.path, subject: .tensor(name),
          expected: "numbers or truth values for a parameter of numbers",
          found: "\(weight.type) for \(tensor.weight.type)")
      }
      guard factors.updateValue(weight, forKey: tensor.name) == nil else {
        throw CompactionError(
          .unknownMask, file: arrays.path, subject: .tensor(name), expected: "one mask for \(tensor.name)", found: "two"
        )
      }
    }
    if factors.isEmpty { return nil }
    guard strangers.isEmpty, forms.count == 1, let form = forms.keys.first else {
      throw CompactionError(
        .unknownMask, file: arrays.path, subject: .tensor(strangers.first ?? forms[.plain] ?? ""),
        expected: "masks of parameters, all called X_mask, all X.mask or all X",
        found: strangers.isEmpty ? "names of several forms" : "a name that belongs to no parameter of the model",
        remedy: "leave everything but the masks out of the file")
    }
    self.factors = factors
    isPlain = form == .plain
    let count = factors.count == 1 ? "1 parameter" : "\(factors.count) parameters"
    switch form {
    case .pruneMask: convention = "masks of \(count), called X_mask as torch.nn.utils.prune calls them"
    case .dotted: convention = "masks of \(count), called X.mask"
    case .plain: convention = "masks of \(count) under their own names, as NNI writes them"
    }
  }

  private static func match(
    _ name: String, _ weight: Weight, _ names: ParameterNames, _ tensors: [NamedTensor]
  ) -> (Form, Int)? {
    for form in [Form.pruneMask, .dotted, .plain] where name.hasSuffix(form.suffix) {
      if let position = names.position(of: String(name.dropLast(form.suffix.count))) { return (form, position) }
    }
    return nil
  }

  /// Looks at every number of the masks.
  ///
  /// - Throws: `maskValue` for NaN and infinity; and under a parameter's own name for numbers outside of 0 and 1, which are those of weights.
  func checkValues(path: String) throws {
    for (name, weight) in factors.sorted(by: { $0.key < $1.key }) {
      try weight.forEachFloatChunk { values in
        guard values.allSatisfy(\.isFinite) else {
          throw CompactionError(.maskValue, file: path, subject: .tensor(name), found: "NaN or infinity")
        }
        guard isPlain, let other = values.first(where: { !(0...1).contains($0) }) else { return }
        throw CompactionError(
          .maskValue, file: path, subject: .tensor(name), expected: "numbers from 0 to 1 under a parameter's own name",
          found: "\(other)", remedy: "call the array \(name)_mask if it is one")
      }
    }
  }
}

/// The parameters of a model by every spelling of their names that mask files use.
private struct ParameterNames {
  private var positions: [String: Int] = [:]

  init(_ tensors: [NamedTensor]) {
    for (position, tensor) in tensors.enumerated() where !tensor.name.hasSuffix("_mask") {
      // A prune pair's weights stand for the parameter.
      let name = tensor.name.hasSuffix("_orig") ? String(tensor.name.dropLast(5)) : tensor.name
      positions[name] = position
    }
    for (name, position) in positions {
      let plain = ArchitectureRegistry.withoutBasePrefix(name)
      if positions[plain] == nil { positions[plain] = position }
    }
  }

  func position(of name: String) -> Int? {
    let name = name.hasPrefix("module.") ? String(name.dropFirst("module.".count)) : name
    return positions[name] ?? positions[ArchitectureRegistry.withoutBasePrefix(name)]
  }
}
