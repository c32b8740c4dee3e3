import ModelArchitectures

extension TokenizerMetadata {
  /// What a person wants to know of a tokenizer, as names and values; nil without a vocabulary.
  var facts: [(name: String, value: String)]? {
    guard let model = string("tokenizer.ggml.model"), tokenCount > 0 else { return nil }
    var facts = [(name: "model", value: model)]
    if let pre = string("tokenizer.ggml.pre") { facts.append(("pre-tokenizer", pre)) }
    facts.append(("tokens", humanCount(tokenCount)))
    if let merges = strings("tokenizer.ggml.merges") { facts.append(("merges", humanCount(merges.count))) }
    for role in ["bos", "eos", "eot", "unknown", "padding", "seperator", "mask"] {
      if let id = identifier("tokenizer.ggml.\(role)_token_id") {
        facts.append((role == "seperator" ? "separator" : role, "\(id)"))
      }
    }
    let added = ["bos", "eos", "sep"].filter { flag("tokenizer.ggml.add_\($0)_token") ?? false }
    if !added.isEmpty { facts.append(("adds", added.joined(separator: " and "))) }
    if string("tokenizer.chat_template") != nil { facts.append(("chat template", "yes")) }
    return facts
  }
}
