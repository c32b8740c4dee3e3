import PollardBase
import TensorStorage

/// Decides for each tensor of a model whether it goes to the data file, and where in it.
struct ONNXDataPlan {
  private let options: ONNXWriter.Options
  /// The name of the data file.
  private let location: String
  private let externalFiles: ONNXExternalFiles?
  private var offsets: [StructuralIdentity: Int] = [:]
  /// The tensors of the data file.
  private(set) var items: [(weight: Weight, fileOffset: Int)] = []
  /// The size of the data file.
  private(set) var end = 0

  /// Tensors of this size and more begin at a page, so that they can be mapped on their own.
  private static let largeByteCount = 1 << 20
  private static let largeAlignment = 4096
  private static let smallAlignment = 64

  init(options: ONNXWriter.Options, location: String, externalFiles: ONNXExternalFiles?) {
    self.options = options
    self.location = location
    self.externalFiles = externalFiles
  }

  /// The model with its tensors where they go.
  mutating func place(_ model: ONNXModel) throws(FormatError) -> ONNXModel {
    let isExternal =
      switch options.placement {
      case .automatic: try tensorByteCount(of: model) > options.inlineLimit
      case .external: true
      case .inline: false
      }
    var plan = self
    let placed = try model.replacingTensors { tensor, isInitializer throws(FormatError) in
      try plan.place(tensor, externally: isExternal && (isInitializer || tensor.isExternal))
    }
    self = plan
    return placed ?? model
  }

  private func tensorByteCount(of model: ONNXModel) throws(FormatError) -> Int {
    var total = 0
    _ = try model.replacingTensors { tensor, _ throws(FormatError) in
      // A tensor that makes no sense takes no room; writing it as it is does no harm.
      if let byteCount = try? tensor.form().byteCount {
        total = total.addingReportingOverflow(byteCount).overflow ? .max : total + byteCount
      }
      return nil
    }
    return total
  }

  /// The tensor as it is written, or nil when it stays as it is.
  private mutating func place(_ tensor: ONNXTensor, externally: Bool) throws(FormatError) -> ONNXTensor? {
    guard externally || tensor.isExternal, let byteCount = try tensor.form().byteCount else { return nil }
    let goesOut = externally && byteCount >= options.externalThreshold
    guard goesOut || tensor.isExternal else { return nil }
    let weight = try tensor.weight(externalFiles: externalFiles)
    var placed = tensor
    placed.clearElements()
    if goesOut {
      let offset = offset(of: weight, byteCount: byteCount)
      placed.externalData = [
        ONNXEntry("location", ByteString(location)), ONNXEntry("offset", ByteString("\(offset)")),
        ONNXEntry("length", ByteString("\(byteCount)")),
      ]
      placed.dataLocation = 1
    } else {
      placed.rawData = .weight(weight)
    }
    return placed
  }

  /// The place of a weight's bytes; weights that are the same share one.
  private mutating func offset(of weight: Weight, byteCount: Int) -> Int {
    if let known = offsets[weight.structuralIdentity] { return known }
    let alignment = byteCount >= Self.largeByteCount ? Self.largeAlignment : Self.smallAlignment
    let offset = (end + alignment - 1) / alignment * alignment
    offsets[weight.structuralIdentity] = offset
    items.append((weight, offset))
    end = offset + byteCount
    return offset
  }
}
