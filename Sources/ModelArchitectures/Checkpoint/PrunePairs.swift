import PollardBase
import TensorStorage

/// A parameter that `torch.nn.utils.prune` left as two tensors: `X_orig`, the weights, and `X_mask`, their factor.
public struct PrunePair: Sendable, Hashable {
  /// The parameter's own name, `X`.
  public let parameter: String
  /// The name of the stored weights.
  public let original: String
  /// The name of the stored mask.
  public let mask: String
  /// The element type of the mask; truth values, integers and floats all occur.
  public let maskType: ElementType
}

extension PrunePair {
  /// Replaces each pair by the parameter it stands for, the product, at the place of the first of the two.
  ///
  /// The mask is not read: a fractional one is multiplied in like any other.
  ///
  /// - Throws: `incompletePrunePair` when one half is missing, `wrongShape` when the halves differ in shape,
  ///   `unexpectedParameterType` when the elements cannot be multiplied, `duplicateParameter` when the parameter is
  ///   stored as well.
  /// - Complexity: O(number of tensors).
  static func resolved(_ tensors: [NamedTensor]) throws(FormatError) -> [NamedTensor] {
    var positions: [String: Int] = [:]
    for (position, tensor) in tensors.enumerated()
    where tensor.name.hasSuffix("_orig") || tensor.name.hasSuffix("_mask") {
      positions[tensor.name] = position
    }
    if positions.isEmpty { return tensors }
    let names = Set(tensors.map(\.name))
    var result: [NamedTensor] = []
    for tensor in tensors {
      guard tensor.name.hasSuffix("_orig") || tensor.name.hasSuffix("_mask") else {
        result.append(tensor)
        continue
      }
      let parameter = String(tensor.name.dropLast(5))
      guard let original = positions[parameter + "_orig"], let mask = positions[parameter + "_mask"] else {
        let missing = parameter + (tensor.name.hasSuffix("_orig") ? "_mask" : "_orig")
        throw FormatError(
          .incompletePrunePair, file: tensor.file, subject: .tensor(tensor.name), expected: "\"\(missing)\" beside it",
          found: "no such tensor")
      }
      if names.contains(parameter) {
        throw FormatError(
          .duplicateParameter, file: tensor.file, subject: .tensor(parameter), found: "\"\(tensor.name)\" besides it")
      }
      guard tensor.name == tensors[min(original, mask)].name else { continue }
      result.append(try product(parameter, tensors[original], tensors[mask]))
    }
    return result
  }

  private static func product(
    _ parameter: String, _ original: NamedTensor, _ mask: NamedTensor
  ) throws(FormatError) -> NamedTensor {
    guard original.weight.shape == mask.weight.shape else {
      throw FormatError(
        .wrongShape, file: mask.file, subject: .tensor(mask.name),
        expected: "\(original.weight.shape), as \"\(original.name)\"",
        found: "\(mask.weight.shape)")
    }
    guard original.weight.type.isParameterType else {
      throw .unexpectedParameterType(original)
    }
    guard mask.weight.type.canBeCast(to: .f32) else {
      throw FormatError(
        .unexpectedParameterType, file: mask.file, subject: .tensor(mask.name), expected: "numbers or truth values",
        found: "\(mask.weight.type)")
    }
    var result = NamedTensor(
      name: parameter, weight: original.weight.multiplied(by: mask.weight), file: original.file)
    result.prunePair = PrunePair(
      parameter: parameter, original: original.name, mask: mask.name, maskType: mask.weight.type)
    return result
  }
}

extension ElementType {
  /// Whether parameters can have this type: a floating-point type whose every value is a single-precision number.
  var isParameterType: Bool { isFloatingPoint && byteCount != nil && self != .f8e8m0 && isEmbedded(in: .f32) }
}
