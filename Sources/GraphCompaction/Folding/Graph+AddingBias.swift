import ModelGraph
import TensorStorage

extension Graph {
  /// Adds a constant to a value: the node that computed it gives a new value, and the sum takes the old one's place and name.
  ///
  /// Everything that read the value reads the sum. Nothing happens where no node computes the value.
  mutating func addBias(_ bias: Weight, to value: ValueID) {
    guard let index = nodes.firstIndex(where: { $0.outputs.contains(value) }) else { return }
    let names = Set(values.map(\.name))
    func unused(_ base: String) -> String {
      var name = base
      var number = 1
      while names.contains(name) {
        number += 1
        name = "\(base)\(number)"
      }
      return name
    }
    let base = self[value].name
    let product = addValue(Value(name: unused("\(base).unbiased"), type: self[value].type))
    let shape = bias.shape.extents.map { Size($0) }
    let constant = addValue(
      Value(name: unused("\(base).bias"), type: ValueType(bias.type, shape), initializer: bias))
    var list = nodes
    for slot in list[index].outputs.indices where list[index].outputs[slot] == value {
      list[index].outputs[slot] = product
    }
    let node = list[index]
    let version = nodes.first { $0.op.domain.isEmpty }?.version ?? Node.currentVersion
    list.insert(
      Node(
        OperatorName("Add"), name: unused("\(base).bias"), inputs: [product, constant], outputs: [value],
        scope: node.scope, version: version, region: node.region),
      at: index + 1)
    replaceNodes(list)
  }
}
