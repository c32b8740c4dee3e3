import CheckpointFormats
import PollardBase
import TensorStorage

extension GGUFTensorType {
  /// Bits of storage for one element.
  var bitsPerElement: Double { Double(8 * bytesPerBlock) / Double(elementsPerBlock) }

  /// The type that llama.cpp's quantise tool falls back to where rows of a length do not fill this type's blocks.
  func fitting(row: Int) -> GGUFTensorType {
    if row % elementsPerBlock == 0 { return self }
    let other: BlockFormat? =
      switch blockFormat {
      case .q4_k: .q5_0
      case .q5_k: .q5_1
      case .q6_k, .q8_k: .q8_0
      case .q2_k, .q3_k, .tq1_0, .tq2_0, .q2_0, .q1_0, .iq1_s, .iq1_m, .iq2_xxs, .iq2_xs, .iq2_s, .iq3_xxs, .iq3_s,
        .iq4_xs, .nvfp4:
        .q4_0
      case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q8_1, .iq4_nl, .mxfp4, nil: nil
      }
    if let other, row % other.elementsPerBlock == 0 { return GGUFTensorType(other) }
    return .f16
  }

  /// The type that blocks of this one are rounded anew to: itself, or the nearest that there is a quantiser for.
  func writable(row: Int) -> GGUFTensorType {
    guard let format = blockFormat else { return self }
    if format.isWritable { return self }
    let larger: BlockFormat =
      switch format {
      case .q8_k, .q8_1: .q8_0
      case .iq4_nl, .mxfp4, .nvfp4: .q4_0
      default: .q4_k
      }
    return GGUFTensorType(larger).fitting(row: row)
  }

  /// Half precision.
  static let f16 = GGUFTensorType(.f16 as ElementType) ?? GGUFTensorType(.q8_0)
  /// Single precision.
  static let f32 = GGUFTensorType(.f32 as ElementType) ?? GGUFTensorType(.q8_0)
}

extension GGUFModel {
  /// A tensor of numbers in a type; a packed type whose blocks rows do not fill is replaced as llama.cpp's quantise tool does it.
  ///
  /// Notes the tensor among `requantizations` when packed blocks are rounded anew.
  mutating func packed(_ value: Weight, name: String, as type: GGUFTensorType) throws(FormatError) -> Tensor {
    guard let format = type.blockFormat else {
      guard let element = type.elementType, value.type == element || value.type.canBeCast(to: element) else {
        throw FormatError(
          .unexpectedParameterType, subject: .tensor(name), expected: type.name, found: "\(value.type)")
      }
      return Tensor(name: name, type: type, shape: value.shape, weight: value.cast(to: element))
    }
    let row = value.shape.extents.last ?? 1
    let numbers = value.cast(to: .f32)
    var target = type.fitting(row: row)
    if target == type, numbers.packedBlocks(format) != nil {
      return Tensor(name: name, type: type, shape: value.shape, weight: numbers.quantized(to: format))
    }
    target = target.writable(row: row)
    requantizations.append(Requantization(tensor: name, from: type, to: target))
    guard let writable = target.blockFormat else {
      return Tensor(name: name, type: target, shape: value.shape, weight: numbers.cast(to: target.elementType ?? .f16))
    }
    return Tensor(name: name, type: target, shape: value.shape, weight: numbers.quantized(to: writable))
  }
}
