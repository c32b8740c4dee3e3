import ModelGraph
import TensorStorage

/// A product over units, with the place where a constant can be added to its result.
struct FoldTarget {
  /// The number of the sum among those of the units.
  var contraction: Int
  /// The product's index.
  var node: Int
  /// The matrix that reads the units.
  var matrix: Weight
  /// The matrix's axis that carries them.
  var axis: Int
  /// What the product is multiplied by.
  var factor: Double
  /// Where the constant goes.
  var place: BiasFold.Place
  /// The bias that is there; nil where none is.
  var bias: Weight?
  /// The type of the product's elements, and so of a new bias.
  var elementType: ElementType
}

extension DimensionMap {
  /// Products that are linear in the operand that carries units, and whose result is as wide as the matrix.
  private static let foldableProducts: Set<String> = ["MatMul", "Gemm", "FusedMatMul"]

  /// Where the constants of units can be added, for each sum over them; or why they cannot.
  ///
  /// - Parameter addsBiases: whether a bias may be put where there is none, and one that is shared may be copied.
  /// - Complexity: O(uses of the results); no weight is read.
  func foldTargets(of set: UnitSet, addsBiases: Bool) -> Result<[FoldTarget], FoldObstruction> {
    let uses = graph.uses
    var result: [FoldTarget] = []
    for (index, contraction) in set.contractions.enumerated() {
      switch foldTarget(contraction, index, uses, addsBiases: addsBiases) {
      case .success(let target): result.append(target)
      case .failure(let obstruction): return .failure(obstruction)
      }
    }
    if result.isEmpty { return .failure(FoldObstruction(.otherSum("no product"))) }
    return .success(result)
  }

  private func foldTarget(
    _ contraction: Contraction, _ index: Int, _ uses: [ValueID: [NodeSlot]], addsBiases: Bool
  ) -> Result<FoldTarget, FoldObstruction> {
    let node = graph.nodes[contraction.node]
    func failure(_ obstacle: FoldObstacle) -> Result<FoldTarget, FoldObstruction> {
      .failure(FoldObstruction(obstacle))
    }
    guard Self.foldableProducts.contains(node.op.name), node.outputs.count == 1, let output = node.outputs[0],
      let use = consumer(contraction), use.slot == NodeSlot(node: contraction.node, slot: 1),
      let matrix = node.input(1).flatMap({ graph[$0].initializer }), matrix.shape.rank == 2, use.axis < 2,
      matrix.type.isFloatingPoint, let type = graph[output].type?.element, Self.biasTypes.contains(type)
    else { return failure(.otherSum(node.op.name)) }
    let width = matrix.shape[1 - use.axis]
    var target = FoldTarget(
      contraction: index, node: contraction.node, matrix: matrix, axis: use.axis,
      factor: node.op.name == "MatMul" ? 1 : Double(node.float("alpha") ?? 1), place: .addition, elementType: type)
    var found: NodeSlot?
    if node.op.name == "Gemm", node.input(2) != nil {
      guard (node.float("beta") ?? 1) == 1 else { return failure(.otherBias) }
      found = NodeSlot(node: contraction.node, slot: 2)
    } else if let use = uses[output], use.count == 1, graph.nodes[use[0].node].op == OperatorName("Add"),
      use[0].slot < 2, !graph.outputs.contains(output), !graph.taps.contains(where: { $0.value == output }),
      graph.nodes[use[0].node].region == node.region
    {
      let other = NodeSlot(node: use[0].node, slot: 1 - use[0].slot)
      // What is added may be the stream; then there is no bias.
      if graph.nodes[other.node].input(other.slot).map({ graph[$0].initializer != nil }) ?? false { found = other }
    }
    guard let found, let id = graph.nodes[found.node].input(found.slot), let bias = graph[id].initializer else {
      if found != nil { return failure(.otherBias) }
      return addsBiases ? .success(target) : failure(.noBias)
    }
    let isVector = bias.shape.rank >= 1 && bias.shape.extents.last == width && bias.shape.elementCount == width
    guard isVector, Self.biasTypes.contains(bias.storedType), Self.biasTypes.contains(bias.type) else {
      return addsBiases && node.op.name != "Gemm" ? .success(target) : failure(.otherBias)
    }
    guard addsBiases || (uses[id] ?? []).count == 1 else { return failure(.sharedBias) }
    target.place = .operand(found)
    target.bias = bias
    return .success(target)
  }

  private static let biasTypes: Set<ElementType> = [.f64, .f32, .f16, .bf16]
}

/// An obstacle as an error, for `Result`.
struct FoldObstruction: Error {
  var obstacle: FoldObstacle

  init(_ obstacle: FoldObstacle) { self.obstacle = obstacle }
}
