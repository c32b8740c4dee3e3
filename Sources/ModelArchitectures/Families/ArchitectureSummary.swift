import ModelGraph
import PollardBase

/// What the table of architectures says about one of them.
package struct ArchitectureSummary: Sendable {
  /// `model_type` in config.json.
  package var modelType: String
  /// The class names that are described.
  package var classNames: [String]
  /// What stands before the base model's tensor names in files of a class with a head.
  package var basePrefix: String
  /// Whether query heads can share key/value heads.
  package var sharesKeyValueHeads: Bool
  /// Whether the feed-forward network multiplies by a gate.
  package var isGated: Bool
  /// What the stock loaders accept, for a configuration in which every key has its class's default.
  package var loaders: [LoaderRule]
}

extension ArchitectureRegistry {
  /// One entry for each architecture, in the order of the registry.
  ///
  /// - Throws: nothing but what reading an empty configuration throws.
  package static func summaries() throws(FormatError) -> [ArchitectureSummary] {
    let config = try ConfigurationReader(.object([:]), file: nil)
    return all.map { architecture in
      ArchitectureSummary(
        modelType: architecture.modelType, classNames: architecture.tasks.map(architecture.className),
        basePrefix: architecture.basePrefix, sharesKeyValueHeads: architecture.sharesKeyValueHeads,
        isGated: architecture.isGated, loaders: architecture.loaderRules(config, layers: []).rows)
    }
  }
}
