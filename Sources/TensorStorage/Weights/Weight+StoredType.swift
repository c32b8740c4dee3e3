extension Weight {
  /// The narrowest element type that holds the values as they are: the source's, where this weight only widens it.
  public var storedType: ElementType {
    switch expression {
    case .cast(let operand): operand.type.isEmbedded(in: type) ? operand.storedType : type
    case .keep(let operand, _, _), .zeroing(let operand, _, _), .transpose(let operand, _), .reshape(let operand):
      operand.storedType
    case .concatenation(let parts, _):
      Set(parts.map(\.storedType)).count == 1 ? parts.first?.storedType ?? type : type
    case .stored, .literal, .zeros, .product, .sum, .dequantized, .quantized, .byteSwapped: type
    }
  }
}
