import CheckpointFormats
import PollardBase

/// Where the keys `general.*` of a converted file come from, by the reference converter's rules.
///
/// In this order: the model card's front matter, `_name_or_path` of the configuration, the name of the folder. What a name says of base model,
/// size, finetune and version is taken out of it.
public struct GGUFNaming: Sendable {
  /// The name of the checkpoint's folder, without its path.
  public var folderName: String
  /// The text of README.md; nil without one.
  public var modelCard: String?
  /// The content of generation_config.json; nil without one.
  public var generationConfig: JSONValue?

  /// Creates rules.
  public init(folderName: String = "model", modelCard: String? = nil, generationConfig: JSONValue? = nil) {
    self.folderName = folderName
    self.modelCard = modelCard
    self.generationConfig = generationConfig
  }

  /// The keys in their order.
  ///
  /// - Parameters:
  ///   - config: the configuration.
  ///   - parameters: the number of elements of all tensors.
  package func entries(config: JSONValue, parameters: Int) -> [GGUFMetadata.Entry] {
    let card = modelCard.map { ModelCard($0) }?.members ?? [:]
    var entries = samplingEntries()
    var texts: [String: String] = [:]
    func take(_ key: String, _ cardKeys: String...) {
      for name in cardKeys where texts[key] == nil {
        if let value = card[name], let text = ModelCard.text(value) { texts[key] = text }
      }
    }
    take("name", "name", "model_name")
    take("author", "author", "model_author", "model_creator")
    take("version", "version", "model_version")
    take("organization", "organization", "model_organization")
    take("description", "description", "model_description")
    take("finetune", "finetune", "model_finetune")
    take("basename", "basename", "model_basename", "model_type")
    take("size_label", "size_label", "model_size_label")
    take("source.url", "url", "model_url")
    take("source.doi", "doi", "model_doi")
    take("source.uuid", "uuid", "model_uuid")
    take("source.repo_url", "repo_url", "model_repo_url")
    take("license", "license")
    take("license.name", "license_name")
    take("license.link", "license_link")

    func use(_ parts: ModelNameParts) {
      func set(_ key: String, _ value: String?) {
        if texts[key] == nil, let value { texts[key] = value }
      }
      set("name", parts.fullName.map(ModelNameParts.title))
      set("organization", parts.organization.map(ModelNameParts.title))
      set("basename", parts.basename)
      set("finetune", parts.finetune)
      set("version", parts.version)
      set("size_label", parts.sizeLabel)
    }
    if let path = config["_name_or_path"]?.stringValue, path.count(where: { $0 == "/" }) <= 1 {
      use(ModelNameParts(path, parameters: parameters))
    }
    use(ModelNameParts(folderName, parameters: parameters))
    if texts["name"] == nil { texts["name"] = folderName }
    if texts["size_label"] == nil, parameters > 0 { texts["size_label"] = Self.sizeLabel(parameters) }

    for key in [
      "name", "author", "version", "organization", "finetune", "basename", "description", "size_label", "license",
      "license.name", "license.link", "source.url", "source.doi", "source.uuid", "source.repo_url",
    ] {
      if let text = texts[key] { entries.append(GGUFMetadata.Entry("general.\(key)", .string(text))) }
    }
    entries += origins("base_model", card, ["base_model", "base_models", "base_model_sources"], parameters)
    entries += origins("dataset", card, ["datasets", "dataset", "dataset_sources"], parameters)
    for (key, names) in [("tags", ["tags", "pipeline_tag"]), ("languages", ["languages", "language"])] {
      let list = names.flatMap { ModelCard.list(card[$0]) }
      let isGiven = names.contains { card[$0].map { !$0.isNull } ?? false }
      if isGiven, !list.isEmpty { entries.append(GGUFMetadata.Entry("general.\(key)", .array(GGUFArray(list)))) }
    }
    return entries
  }

  private func samplingEntries() -> [GGUFMetadata.Entry] {
    guard let config = generationConfig else { return [] }
    var entries: [GGUFMetadata.Entry] = []
    for (key, names, isInteger) in [
      ("top_k", ["top_k"], true), ("top_p", ["top_p"], false), ("min_p", ["min_p"], false),
      ("xtc_probability", ["xtc_probability"], false), ("xtc_threshold", ["xtc_threshold"], false),
      ("temp", ["temperature"], false), ("penalty_last_n", ["penalty_last_n"], true),
      ("penalty_repeat", ["penalty_repeat", "repetition_penalty"], false), ("mirostat", ["mirostat"], true),
      ("mirostat_tau", ["mirostat_tau"], false), ("mirostat_eta", ["mirostat_eta"], false),
    ] {
      guard let value = names.lazy.compactMap({ config[$0] }).first else { continue }
      if isInteger {
        guard let number = value.intValue else { continue }
        entries.append(GGUFMetadata.Entry("general.sampling.\(key)", .int32(Int32(clamping: number))))
      } else if let number = value.doubleValue {
        entries.append(GGUFMetadata.Entry("general.sampling.\(key)", .float32(Float(number))))
      }
    }
    if let sequence = config["sequence"]?.stringValue {
      entries.insert(GGUFMetadata.Entry("general.sampling.sequence", .string(sequence)), at: 0)
    }
    return entries
  }

  /// What a model or its data come from.
  private func origins(
    _ kind: String, _ card: [String: JSONValue], _ keys: [String], _ parameters: Int
  ) -> [GGUFMetadata.Entry] {
    guard let value = keys.lazy.compactMap({ card[$0] }).first else { return [] }
    let names = ModelCard.list(value)
    var entries = [GGUFMetadata.Entry("general.\(kind).count", .uint32(UInt32(clamping: names.count)))]
    for (number, name) in names.enumerated() {
      func add(_ key: String, _ value: String?) {
        if let value { entries.append(GGUFMetadata.Entry("general.\(kind).\(number).\(key)", .string(value))) }
      }
      let isAddress = ["http://", "https://", "ssh://"].contains(where: name.hasPrefix)
      var parts: ModelNameParts?
      if isAddress {
        let rest = name.split(separator: "/", omittingEmptySubsequences: false)
        if name.hasPrefix("http"), rest.count == 5, rest[2] == "huggingface.co", !rest[3].isEmpty, !rest[4].isEmpty {
          parts = ModelNameParts("\(rest[3])/\(rest[4])", parameters: parameters)
        }
      } else {
        parts = ModelNameParts(name, parameters: parameters)
      }
      add("name", parts?.fullName.map(ModelNameParts.title))
      add("version", parts?.version)
      add("organization", parts?.organization.map(ModelNameParts.title))
      if isAddress {
        add("repo_url", name)
      } else if let organization = parts?.organization, let fullName = parts?.fullName {
        add("repo_url", "https://huggingface.co/\(organization)/\(fullName)")
      }
    }
    return entries
  }

  /// A number of parameters with two digits: `125K`, `2.0M`, `7B`.
  package static func sizeLabel(_ parameters: Int) -> String {
    let count = Double(parameters)
    let (scaled, suffix) =
      count > 1e12
      ? (count * 1e-12, "T")
      : count > 1e9 ? (count * 1e-9, "B") : count > 1e6 ? (count * 1e-6, "M") : (count * 1e-3, "K")
    let whole = Int(scaled.rounded(.toNearestOrEven))
    let places = max(0, 2 - (whole == 0 ? 0 : String(whole).count))
    if places == 0 { return "\(whole)\(suffix)" }
    let unit = places == 1 ? 10 : 100
    let parts = Int((scaled * Double(unit)).rounded(.toNearestOrEven))
    let digits = String(parts % unit)
    return "\(parts / unit).\(String(repeating: "0", count: places - digits.count))\(digits)\(suffix)"
  }
}
