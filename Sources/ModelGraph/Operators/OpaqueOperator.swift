import PollardBase
import TensorStorage

/// An operator without a description. Nothing is known about its results, and nothing that touches it may shrink.
struct OpaqueOperator: Operator {
  let name: OperatorName
  var requiredInputs: Int { 0 }
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "Not described.", shapes: "Unknown.", axes: "All pinned.", zeros: "All unknown.", source: "")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    for slot in context.node.outputs.indices { context.set(slot, ValueType(context.element(0) ?? .f32, nil)) }
  }

  func relate(_ context: inout AxisContext) {}
}
