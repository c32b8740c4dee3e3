import GraphCompaction
import PollardBase

/// Units that the weights prove dead or constant, layer by layer.
public struct SparsityReport: Report {
  /// The plan that would remove the dead ones.
  public var plan: CompactionPlan

  /// The document that `--json` prints.
  public var json: JSONValue {
    .array(
      plan.layers.map { layer in
        func lists(_ units: UnitPlan?) -> JSONValue {
          guard let units else { return .null }
          return [
            "dead": .array((units.removed.map(\.index) + units.padded).sorted().map { JSONValue($0) }),
            "constant": .array(units.constant.map { JSONValue($0) }), "void": .array(units.void.map { JSONValue($0) }),
          ]
        }
        return ["index": JSONValue(layer.index), "heads": lists(layer.heads?.units), "ffn": lists(layer.neurons)]
      })
  }

  /// The text that people read.
  public var text: String {
    var table = TextTable(["layer", "dead heads", "constant heads", "#dead neurons", "#constant neurons"])
    for layer in plan.layers {
      let heads = layer.heads?.units
      table.add(
        "\(layer.index)", humanIndices(((heads?.removed.map(\.index) ?? []) + (heads?.padded ?? [])).sorted()),
        humanIndices(heads?.constant ?? []),
        "\((layer.neurons?.removed.count ?? 0) + (layer.neurons?.padded.count ?? 0))",
        "\(layer.neurons?.constant.count ?? 0)")
    }
    return table.text
  }
}

extension Model {
  /// Looks for dead and constant units; reads every weight of a unit once.
  ///
  /// - Throws: what reading the weights throws.
  public func sparsity(pool: ThreadPool = .allProcessors) throws -> SparsityReport {
    var options = PlanOptions(shape: .ragged)
    options.writesBlocks = false
    return SparsityReport(plan: try plan(options: options, pool: pool))
  }
}
