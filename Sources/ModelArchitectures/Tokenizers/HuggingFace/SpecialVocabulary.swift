import PollardBase

/// Special ids, flags, merges, chat templates and normaliser switches, as the reference converter gathers them.
///
/// Sources in order: the roles of tokenizer_config.json, looked up by text among the added tokens of tokenizer.json; then the
/// `*_token_id` keys of config.json for roles still without an id. Flags come from the post-processor of tokenizer.json, then
/// from `add_*_token` of tokenizer_config.json.
struct SpecialVocabulary: Sendable {
  /// Roles to look for; the post-processor may add `eot` and `eom`.
  var roles: [String]
  /// Ids by role, in the order in which they were found.
  private(set) var identifiers: [(role: String, id: Int)] = []
  /// Whether a role's token is added to every text, in the order in which that was found.
  private(set) var isAdded: [(role: String, value: Bool)] = []
  /// Merges by rank, each as two texts with a space between.
  var merges: [String] = []
  /// The chat templates by name; a lone one is called `default`.
  var chatTemplates: [(name: String, text: String)] = []
  private(set) var lowercases: Bool?
  private(set) var stripsAccents: Bool?
  /// What a person should know.
  private(set) var notes: [String] = []
  private let vocabularySize: Int?

  /// Gathers.
  ///
  /// - Parameters:
  ///   - vocabularySize: ids from this on are passed over; nil takes every id.
  ///   - configuration: config.json.
  ///   - tokenizer: tokenizer.json, nil when there is none.
  /// - Throws: what parsing throws; `malformedTokenizer` for merges of another form.
  init(
    files: TokenizerFiles, configuration: JSONValue, tokenizer: JSONObject?, loadingMerges: Bool = false,
    roles: [String] = TokenizerClass.roles, vocabularySize: Int? = nil
  ) throws(FormatError) {
    self.roles = roles
    self.vocabularySize = vocabularySize
    var settings = try files.object("tokenizer_config.json")
    if settings?.isEmpty ?? false { settings = nil }
    if let tokenizer {
      if loadingMerges { merges = try Self.merges(of: tokenizer) }
      if let normalizer = tokenizer["normalizer"] { readNormalizer(normalizer) }
      readPostProcessor(tokenizer["post_processor"] ?? .null, settings: &settings)
    }
    if let settings {
      chatTemplates = try Self.chatTemplates(files, settings: settings)
      readSettings(settings, addedTokens: tokenizer?["added_tokens"]?.arrayValue ?? [])
    }
    for role in self.roles {
      let key = "\(role)_token_id"
      var value = configuration[key]
      if value?.isNull ?? true { value = configuration["text_config"]?[key] }
      setIdentifier(role, value)
    }
    if loadingMerges, merges.isEmpty { merges = try HuggingFaceTokenizer.mergesOfTextFile(files) }
  }

  /// Gives a role an id unless it has one. Values that are no whole number are passed over.
  mutating func setIdentifier(_ role: String, _ value: JSONValue?) {
    guard case .number(let number)? = value, number.isInteger, let id = number.intValue else { return }
    guard id >= 0, id < vocabularySize ?? Vocabulary.limit else {
      notes.append("The id \(id) of the special token \"\(role)\" lies outside the vocabulary and is left out.")
      return
    }
    if !identifiers.contains(where: { $0.role == role }) { identifiers.append((role, id)) }
  }

  /// Writes everything to a tokenizer's metadata.
  func write(to metadata: inout TokenizerMetadata) {
    if !merges.isEmpty { metadata.set(TokenizerKey.merges, .strings(merges)) }
    for (role, id) in identifiers {
      if let key = TokenizerKey.identifier(of: role), let id = UInt32(exactly: id) { metadata.set(key, .uint32(id)) }
    }
    for (role, value) in isAdded {
      if let key = TokenizerKey.isAdded(role) { metadata.set(key, .bool(value)) }
    }
    writeChatTemplates(to: &metadata)
    if let lowercases { metadata.set(TokenizerKey.lowercase, .bool(lowercases)) }
    if let stripsAccents { metadata.set(TokenizerKey.stripAccents, .bool(stripsAccents)) }
    for sentence in notes { metadata.note(sentence) }
  }

  private func writeChatTemplates(to metadata: inout TokenizerMetadata) {
    var names: [String] = []
    var main: String?
    for template in chatTemplates {
      // Names become parts of keys: everything but ASCII letters and digits is replaced.
      let name = String(
        decoding: template.name.unicodeScalars.map { scalar in
          switch scalar {
          case "a"..."z", "A"..."Z", "0"..."9": UInt8(truncatingIfNeeded: scalar.value)
          default: UInt8(ascii: "_")
          }
        }, as: UTF8.self)
      if name == "default" {
        main = template.text
      } else if !name.isEmpty {
        if !names.contains(name) { names.append(name) }
        if !template.text.isEmpty { metadata.set("\(TokenizerKey.chatTemplate).\(name)", .string(template.text)) }
      }
    }
    if !names.isEmpty { metadata.set(TokenizerKey.chatTemplates, .strings(names)) }
    if let main, !main.isEmpty { metadata.set(TokenizerKey.chatTemplate, .string(main)) }
  }

  private mutating func setFlag(_ role: String, _ value: Bool) {
    if let position = isAdded.firstIndex(where: { $0.role == role }) {
      isAdded[position].value = value
    } else {
      isAdded.append((role, value))
    }
  }

  private func hasFlag(_ role: String) -> Bool { isAdded.contains { $0.role == role } }
}

// MARK: - tokenizer.json

extension SpecialVocabulary {
  private static func merges(of tokenizer: JSONObject) throws(FormatError) -> [String] {
    guard let values = tokenizer["model"]?["merges"]?.arrayValue else { return [] }
    var merges: [String] = []
    merges.reserveCapacity(values.count)
    for (rank, value) in values.enumerated() {
      if let text = value.stringValue {
        merges.append(text)
      } else if let pair = value.arrayValue, pair.count == 2, let left = pair[0].stringValue,
        let right = pair[1].stringValue
      {
        // A space inside a text would end it: it becomes U+0120.
        merges.append(replacing(" ", with: "\u{120}", in: left) + " " + replacing(" ", with: "\u{120}", in: right))
      } else {
        throw FormatError(
          .malformedTokenizer, file: "tokenizer.json", subject: .key("model.merges"),
          expected: "a text or two texts for each merge", found: "something else at \(rank)")
      }
    }
    return merges
  }

  private mutating func readNormalizer(_ normalizer: JSONValue) {
    switch normalizer["type"]?.stringValue {
    case "Lowercase": lowercases = true
    case "StripAccents": stripsAccents = true
    case "BertNormalizer":
      if let value = normalizer["lowercase"] { lowercases = value.boolValue }
      if let value = normalizer["strip_accents"] { stripsAccents = value.boolValue }
    case "Sequence": for part in normalizer["normalizers"]?.arrayValue ?? [] { readNormalizer(part) }
    default: break
    }
  }

  private mutating func readPostProcessor(_ postProcessor: JSONValue, settings: inout JSONObject?) {
    var roles = RoleValues(settings)
    if settings != nil {
      if isAbsent(roles.bos), !isAbsent(roles.cls) {
        roles.bos = roles.cls
        settings?.set("bos_token", to: roles.cls)
      }
      if isAbsent(roles.eos), !isAbsent(roles.sep) {
        roles.eos = roles.sep
        settings?.set("eos_token", to: roles.sep)
      }
    }
    guard postProcessor.objectValue != nil else { return }
    for processor in postProcessor["processors"]?.arrayValue ?? [postProcessor] {
      switch processor["type"]?.stringValue {
      case "ByteLevel":
        for role in ["bos", "eos"] where !hasFlag(role) { setFlag(role, false) }
      case "RobertaProcessing":
        for role in ["bos", "eos", "sep"] { setFlag(role, true) }
        if isAbsent(roles.cls), settings != nil {
          roles.cls = processor["cls"]?[0] ?? roles.bos
          settings?.set("cls_token", to: roles.cls)
        }
        if isAbsent(roles.sep), settings != nil {
          roles.sep = processor["sep"]?[0] ?? roles.eos
          settings?.set("sep_token", to: roles.sep)
        }
      case "TemplateProcessing": readTemplate(processor, roles: &roles, settings: &settings)
      default: break
      }
    }
  }

  /// The special tokens that post-processors are compared with, as tokenizer_config.json has them.
  ///
  /// The reference compares texts with these values: one that is written as an object is never equal to its text.
  private struct RoleValues {
    var bos: JSONValue
    var eos: JSONValue
    var cls: JSONValue
    var sep: JSONValue

    init(_ settings: JSONObject?) {
      func value(_ role: String) -> JSONValue { settings?["\(role)_token"] ?? .null }
      (bos, eos, cls, sep) = (value("bos"), value("eos"), value("cls"), value("sep"))
    }
  }

  private func isAbsent(_ value: JSONValue) -> Bool { value.isNull || value == .string("") }

  private func isSame(_ text: String, _ value: JSONValue) -> Bool {
    value.stringValue.map { haveSameBytes($0, text) } ?? false
  }

  private func special(_ part: JSONValue?) -> String? {
    guard let text = part?["SpecialToken"]?["id"]?.stringValue, !text.isEmpty else { return nil }
    return text
  }

  private mutating func readTemplate(_ processor: JSONValue, roles: inout RoleValues, settings: inout JSONObject?) {
    let single = processor["single"]?.arrayValue ?? []
    var first: String?
    var last: String?
    if single.count > 1 {
      first = special(single.first)
      last = special(single.last)
      if let first { readFirst(first, roles: &roles, settings: &settings) }
      if let last { readLast(last, roles: &roles, settings: &settings) }
    }
    var pair = ArraySlice(processor["pair"]?.arrayValue ?? [])
    if let first, let start = special(pair.first), haveSameBytes(first, start) { pair = pair.dropFirst() }
    if let last, let end = special(pair.last), haveSameBytes(last, end) { pair = pair.dropLast() }
    guard pair.first?["Sequence"]?["id"]?.stringValue == "A", pair.last?["Sequence"]?["id"]?.stringValue == "B" else {
      return
    }
    let between = Array(pair.dropFirst().dropLast())
    guard !between.isEmpty else { return }
    let separates = between.map { part in
      special(part).map { isSame($0, roles.sep) || isSame($0, roles.eos) } ?? false
    }
    let addsSeparator = separates[0] && last == nil || separates.count == 2 && separates[1]
    setFlag("sep", addsSeparator)
    if addsSeparator, isAbsent(roles.sep) { settings?.set("sep_token", to: roles.eos) }
  }

  private mutating func readFirst(_ first: String, roles: inout RoleValues, settings: inout JSONObject?) {
    if settings == nil {
      roles.bos = .string(first)
    } else if !isSame(first, roles.bos), !isSame(first, roles.cls) {
      if isAbsent(roles.bos) {
        roles.bos = .string(first)
        settings?.set("bos_token", to: roles.bos)
      }
      if isAbsent(roles.cls) {
        roles.cls = .string(first)
        settings?.set("cls_token", to: roles.cls)
      }
    }
    setFlag("bos", isSame(first, roles.bos) || isSame(first, roles.cls))
  }

  private mutating func readLast(_ last: String, roles: inout RoleValues, settings: inout JSONObject?) {
    if settings != nil, !isSame(last, roles.eos) {
      // The template's last token ends a text; what was called the end before ends a turn.
      if let role = ["eot", "eom"].first(where: { !self.roles.contains($0) }) {
        self.roles.append(role)
        settings?.set("\(role)_token", to: roles.eos)
      }
      settings?.set("eos_token", to: .string(last))
    }
    roles.eos = .string(last)
    setFlag("eos", true)
  }
}

// MARK: - tokenizer_config.json

extension SpecialVocabulary {
  private mutating func readSettings(_ settings: JSONObject, addedTokens: [JSONValue]) {
    for role in roles {
      if let value = settings["add_\(role)_token"]?.boolValue, !hasFlag(role) { setFlag(role, value) }
      let entry = settings["\(role)_token"]
      guard let text = entry?.stringValue ?? entry?["content"]?.stringValue else { continue }
      let token = addedTokens.first { $0["content"]?.stringValue.map { haveSameBytes($0, text) } ?? false }
      setIdentifier(role, token?["id"])
    }
  }

  private static func chatTemplates(
    _ files: TokenizerFiles, settings: JSONObject
  ) throws(FormatError) -> [(name: String, text: String)] {
    if let value = settings["chat_template"] { return templates(value) }
    if let main = try files.text("chat_template.jinja") {
      var templates = [(name: "default", text: main)]
      let prefix = TokenizerFiles.templateFolder + "/"
      for name in files.bytes.keys.sorted(by: precedesInByteOrder)
      where name.hasPrefix(prefix) && name.hasSuffix(".jinja") {
        if let text = try files.text(name) {
          templates.append((String(name.dropFirst(prefix.count).dropLast(".jinja".count)), text))
        }
      }
      return templates
    }
    return templates(try files.object("chat_template.json")?["chat_template"] ?? .null)
  }

  /// One template without a name, or a list of templates with names.
  private static func templates(_ value: JSONValue) -> [(name: String, text: String)] {
    if let text = value.stringValue { return [("default", text)] }
    return (value.arrayValue ?? []).compactMap { choice in
      choice["template"]?.stringValue.map { (choice["name"]?.stringValue ?? "", $0) }
    }
  }
}
