import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

extension GraphRun {
  /// Evaluates a node of one elementwise kernel in the memory of an operand; nil where there is no such operand.
  ///
  /// The operand is dense, is read by nobody else, and its memory is looked at by no other tensor: no view of it, no constant, and none
  /// that the caller gave or was shown. The kernels give an element the same bits wherever it is written.
  mutating func evaluatedInPlace(_ node: Node) throws -> Tensor? {
    guard memory.precision == .declared, plan.graph.regions.isEmpty, node.outputs.count == 1 else { return nil }
    if node.inputs.count == 1, let operation = kernelOperation(of: node), let x = take(node, 0) {
      return try x.mapped(operation, memory, into: x)
    }
    guard node.inputs.count == 2, let operation = binaryKernel(of: node) else { return nil }
    for slot in 0..<2 {
      guard let id = node.input(1 - slot), let other = values[id.index], other.type == .f32, let x = take(node, slot)
      else { continue }
      guard other.broadcasts(to: x.extents) else {
        if let id = node.input(slot) { values[id.index] = x }
        continue
      }
      let (a, b) = slot == 0 ? (x, other) : (other, x)
      return try a.combined(operation, with: b, extents: x.extents, memory, into: x)
    }
    return nil
  }

  /// An operand that can be written over; it is no value of the run any more.
  private mutating func take(_ node: Node, _ slot: Int) -> Tensor? {
    guard let id = node.input(slot), readsLeft[id.index] == 1, plan.graph[id].initializer == nil,
      var tensor = values[id.index], tensor.type == .f32, tensor.isContiguous
    else { return nil }
    values[id.index] = nil
    guard isKnownUniquelyReferenced(&tensor.buffer) else {
      values[id.index] = tensor
      return nil
    }
    return tensor.view(tensor.extents, strides: rowMajorStrides(tensor.extents))
  }
}

extension Tensor {
  /// Whether every axis is that of some extents, or 1.
  fileprivate func broadcasts(to target: [Int]) -> Bool {
    rank <= target.count && Swift.zip(extents.reversed(), target.reversed()).allSatisfy { $0 == 1 || $0 == $1 }
  }
}
