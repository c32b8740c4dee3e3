import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

extension ImportedModel {
  /// The configuration and the tensors that remain after a plan.
  ///
  /// - Throws: as `exported(graph:layers:keptHeads:carrier:)`.
  func exported(after cut: (plan: CompactionPlan, graph: Graph)?, carrier: String? = nil) throws -> ExportedModel {
    guard let cut else { return try exported() }
    return try exported(
      graph: cut.graph, layers: Model.layers(layers, after: cut.plan),
      keptHeads: zip(cut.plan.layers, layers).map { $0.heads?.units.kept ?? Array(0..<$1.heads) }, carrier: carrier)
  }

  /// The part that each initializer plays which stands for a parameter.
  var initializerRoles: [String: String] {
    var roles: [String: String] = [:]
    for binding in bindings {
      let role = role(of: binding.tensor)
      // Vectors that are stacked have the role of the first.
      if roles[binding.initializer] == nil { roles[binding.initializer] = role }
      for tied in binding.tiedInitializers { roles[tied] = "\(role) (transposed)" }
    }
    return roles
  }

  /// What initializers have in addition to the parameters of a part.
  var addends: [String: Float] {
    Dictionary(bindings.filter { $0.addend != 0 }.map { (role(of: $0.tensor), $0.addend) }) { first, _ in first }
  }

  /// The parameters by the part they play; buffers and what no graph reads are left out.
  func tensorsByRole(
    after cut: (plan: CompactionPlan, graph: Graph)?
  ) throws -> [(role: String, weight: Weight)] {
    let unread = Set(passedThrough.map(\.name))
    return try exported(after: cut).tensors.filter { !unread.contains($0.name) }.map {
      (role(of: $0.name), $0.weight)
    }
  }
}
