/// What a model's name on the hub says of it, by the reference converter's rules: `org/Base-Name-7B-Instruct-v0.2`.
package struct ModelNameParts: Equatable {
  package var fullName: String?
  package var organization: String?
  package var basename: String?
  package var finetune: String?
  package var version: String?
  package var sizeLabel: String?

  private enum Kind: Hashable { case basename, sizeLabel, finetune, version, type }

  /// - Parameter parameters: the number of elements of all tensors, against which a size in the name is held; 0 to believe it.
  package init(_ id: String, parameters: Int) {
    if id.contains(" ") {
      fullName = id
      return
    }
    var full = id
    if let slash = id.firstIndex(of: "/") {
      let before = String(id[..<slash])
      full = String(id[id.index(after: slash)...])
      organization = before.hasPrefix(".") ? nil : before
    }
    fullName = full
    var names = full.split(separator: "-").map(String.init)
    var kinds = names.map { _ in Set<Kind>() }
    for index in names.indices {
      let part = names[index]
      if Self.isVersion(part) {
        kinds[index].insert(.version)
      } else if Self.isType(part) {
        kinds[index].insert(.type)
        names[index] = part.uppercased()
      } else if index > 0, Self.isSize(part) {
        let (label, isSize) = Self.size(part, parameters)
        kinds[index].insert(isSize ? .sizeLabel : .finetune)
        names[index] = label
      } else if index > 0, ["chat", "instruct", "vision", "lora"].contains(part.lowercased()) {
        kinds[index].insert(.finetune)
      }
    }
    // Sizes in words count only where none is a number.
    let hasNumber = zip(names, kinds).contains { $1.contains(.sizeLabel) && $0.contains(where: \.isNumber) }
    if hasNumber {
      for index in names.indices where kinds[index].contains(.sizeLabel) && names[index].allSatisfy(\.isLetter) {
        kinds[index].remove(.sizeLabel)
      }
    }
    var isAtStart = true
    for index in names.indices {
      let beginsWithLetter = names[index].first?.isLetter ?? false
      if isAtStart, (kinds[index].isEmpty && beginsWithLetter) || kinds[index].contains(.version) {
        kinds[index].insert(.basename)
      } else {
        isAtStart = false
        if kinds[index].isEmpty { kinds[index].insert(.finetune) }
      }
    }
    for index in names.indices.reversed() {
      guard kinds[index].contains(.basename), kinds[index].count > 1 else { break }
      kinds[index].remove(.basename)
    }
    func joined(_ condition: (Set<Kind>) -> Bool, unique: Bool = false) -> String? {
      var found: [String] = []
      for (name, kind) in zip(names, kinds) where condition(kind) && !(unique && found.contains(name)) {
        found.append(name)
      }
      return found.isEmpty ? nil : found.joined(separator: "-")
    }
    basename = joined { $0.contains(.basename) }
    sizeLabel = joined({ $0.contains(.sizeLabel) }, unique: true)
    finetune = joined { $0.contains(.finetune) }
    version = joined { $0.contains(.version) && !$0.contains(.basename) }
    if sizeLabel == nil, finetune == nil, version == nil { basename = nil }
  }

  /// The words of a name with capitals, but for versions and what has capitals already.
  package static func title(_ name: String) -> String {
    name.split { $0 == "-" || $0.isWhitespace }.map { word in
      let isLower = word.contains { $0.isLowercase } && !word.contains { $0.isUppercase }
      let isVersion =
        word.first?.isNumber ?? false
        || (word.first == "v" && isVersion(String(word)) && word.dropFirst().first?.isNumber == true)
      guard isLower, !isVersion else { return String(word) }
      var previousIsLetter = false
      return word.reduce(into: "") { result, letter in
        result += previousIsLetter ? letter.lowercased() : letter.uppercased()
        previousIsLetter = letter.isLetter
      }
    }.joined(separator: " ")
  }

  /// `(v|iter)?\d+(.\d+)*`
  private static func isVersion(_ text: String) -> Bool {
    let lower = text.lowercased()
    let rest = lower.hasPrefix("v") ? lower.dropFirst() : lower.hasPrefix("iter") ? lower.dropFirst(4) : lower[...]
    return rest.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty && isDigits($0) }
  }

  /// `i?q\d(_\w)*` or `b?fp?(16|32)`
  private static func isType(_ text: String) -> Bool {
    let lower = text.lowercased()
    var rest = lower.hasPrefix("i") ? lower.dropFirst() : lower[...]
    if rest.first == "q", let digit = rest.dropFirst().first, isDigits(String(digit)) {
      rest = rest.dropFirst(2)
      while rest.first == "_", let next = rest.dropFirst().first, next.isLetter || next.isNumber || next == "_" {
        rest = rest.dropFirst(2)
      }
      if rest.isEmpty { return true }
    }
    return ["f16", "f32", "fp16", "fp32", "bf16", "bf32", "bfp16", "bfp32"].contains(lower)
  }

  /// `((A|\d+x)?\d+([._]\d+)?[KMBT]\d?|small|mini|medium|large|x?xl)`
  private static func isSize(_ text: String) -> Bool {
    let lower = text.lowercased()
    if ["small", "mini", "medium", "large", "xl", "xxl"].contains(lower) { return true }
    func matches(_ text: Substring) -> Bool {
      var rest = text.drop { $0.isASCII && $0.isNumber }
      guard rest.count < text.count else { return false }
      if let mark = rest.first, mark == "." || mark == "_" {
        let after = rest.dropFirst().drop { $0.isASCII && $0.isNumber }
        guard after.count < rest.count - 1 else { return false }
        rest = after
      }
      guard let unit = rest.first, "kmbt".contains(unit) else { return false }
      rest = rest.dropFirst()
      return rest.isEmpty || (rest.count == 1 && isDigits(rest))
    }
    if matches(lower[...]) { return true }
    if lower.hasPrefix("a") { return matches(lower.dropFirst()) }
    let digits = lower.prefix { $0.isASCII && $0.isNumber }
    let rest = lower.dropFirst(digits.count)
    return !digits.isEmpty && rest.first == "x" && matches(rest.dropFirst())
  }

  /// A size in the usual spelling, and whether it fits the number of parameters; what does not is more likely a context length.
  private static func size(_ text: String, _ parameters: Int) -> (label: String, isSize: Bool) {
    var letters = Array(text.replacing("_", with: "."))
    if let last = letters.last, last.isNumber, letters.count > 2 {
      // 7b1 means 7.1b.
      let unit = letters[letters.count - 2]
      letters.removeLast(2)
      letters += [".", last, unit]
    }
    if letters.count > 1, letters[letters.count - 2].isNumber, let last = letters.last, "kmbt".contains(last) {
      letters[letters.count - 1] = Character(last.uppercased())
    }
    let label = String(letters)
    guard parameters > 0, let number = Double(String(letters.dropLast())), let unit = letters.last,
      let power = Array(" KMBT").firstIndex(of: unit)
    else { return (label, true) }
    let stated = (0..<power).reduce(number) { value, _ in value * 1000 }
    if (stated - Double(parameters)).magnitude > Double(parameters / 8 * 7 + parameters % 8 * 7 / 8) {
      return (String(letters.dropLast()) + String(unit).lowercased(), false)
    }
    return (label, true)
  }

  private static func isDigits(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber }
  }
}
