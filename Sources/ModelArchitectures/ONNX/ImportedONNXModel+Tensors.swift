import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// An initializer of an ONNX file, for listings.
public struct ONNXStoredTensor: Sendable {
  /// The name.
  public let name: String
  /// The element type.
  public let type: ONNXDataType
  /// The extents.
  public let shape: Shape
  /// The bytes of all elements; 0 for strings.
  public let byteCount: Int
  /// The path of the file that holds the elements.
  public let file: String
  /// The elements; nil for strings, and for packed elements that do not fill whole bytes.
  public let weight: Weight?
}

extension ImportedONNXModel {
  /// The initializers in the order of the file, those of branches after those around them.
  ///
  /// - Throws: the codes of `ONNXTensor.form()` and of external data.
  public func tensors() throws(FormatError) -> [ONNXStoredTensor] {
    var result: [ONNXStoredTensor] = []
    for container in containers {
      for tensor in container.graph.initializers {
        let form = try tensor.form()
        var path = file.source.path
        if tensor.isExternal, let location = tensor.externalData["location"] {
          path = Paths.join(Paths.parent(path), location.description)
        }
        result.append(
          ONNXStoredTensor(
            name: (tensor.name ?? "").description, type: form.type, shape: form.shape, byteCount: form.byteCount ?? 0,
            file: path, weight: try ONNXImporter.weight(of: tensor, file.externalFiles)))
      }
    }
    return result
  }

  /// The number of elements of all initializers of floating-point types; equal ranges of a file count once.
  ///
  /// `Constant` nodes, quantised tensors and sparse ones are not counted.
  public var parameterCount: Int { Self.parameterCount(initializers(of: graph)) }

  /// The parameters that a changed graph would be written with, counted in the same way.
  public func parameterCount(of changed: Graph) -> Int { Self.parameterCount(initializers(of: changed)) }

  private static func parameterCount(_ weights: [Weight]) -> Int {
    var seen: Set<StructuralIdentity> = []
    return weights.filter { $0.type.isFloatingPoint && seen.insert($0.structuralIdentity).inserted }
      .reduce(0) { $0 + $1.shape.elementCount }
  }

  /// The content of what would be written as initializers for a graph.
  private func initializers(of changed: Graph) -> [Weight] {
    let plan = ONNXConstantPlan(self, changed)
    var result: [Weight] = []
    for container in containers {
      for case let index? in container.initializers {
        if plan.keeps(index), let weight = values[index].weight { result.append(weight) }
      }
    }
    for (index, weight) in plan.replaced {
      if case .constant = values[index].provider { continue }
      result.append(weight)
    }
    return result + plan.added.map(\.weight)
  }
}
