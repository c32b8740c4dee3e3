/// A set of Unicode scalars, as a class of a regular expression describes one.
indirect enum ScalarSet: Sendable {
  /// Every scalar from one to another.
  case range(ClosedRange<UInt32>)
  /// The scalars of some general categories, by the letters of their short names.
  case category(String)
  /// The scalars with the property White_Space.
  case whiteSpace
  /// Letters, marks, decimal digits and connectors.
  case word
  /// Han, Hiragana or Katakana.
  case script(String)
  /// Everything.
  case any
  /// What is in one of the sets.
  case union([ScalarSet])
  /// What is in all of the sets.
  case intersection([ScalarSet])
  /// What is not in a set.
  case inverted(ScalarSet)

  /// Whether a scalar belongs to the set.
  func contains(_ scalar: UnicodeScalar) -> Bool {
    switch self {
    case .range(let range): range.contains(scalar.value)
    case .category(let name): generalCategoryName(of: scalar).hasPrefix(name)
    case .whiteSpace: scalar.properties.isWhitespace
    case .word: Self.isWord(scalar)
    case .script(let name): Self.scripts[name]?.contains { $0.contains(scalar.value) } ?? false
    case .any: true
    case .union(let sets): sets.contains { $0.contains(scalar) }
    case .intersection(let sets): sets.allSatisfy { $0.contains(scalar) }
    case .inverted(let set): !set.contains(scalar)
    }
  }

  /// Whether a scalar or the same one in the other case belongs to the set.
  func containsAnyCase(_ scalar: UnicodeScalar) -> Bool {
    if contains(scalar) { return true }
    let properties = scalar.properties
    return [properties.lowercaseMapping, properties.uppercaseMapping].contains { text in
      guard let other = text.unicodeScalars.first, text.unicodeScalars.count == 1 else { return false }
      return contains(other)
    }
  }

  private static func isWord(_ scalar: UnicodeScalar) -> Bool {
    if scalar.properties.isAlphabetic { return true }
    let category = generalCategoryName(of: scalar)
    return category.hasPrefix("M") || category == "Nd" || category == "Pc"
  }

  /// The scripts that patterns of real tokenizers name.
  private static let scripts: [String: [ClosedRange<UInt32>]] = [
    "Han": [
      0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029,
      0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3,
      0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739, 0x2B740...0x2B81D, 0x2B820...0x2CEA1,
      0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x323AF,
    ],
    "Hiragana": [0x3041...0x3096, 0x309D...0x309F, 0x1B001...0x1B11F, 0x1F200...0x1F200],
    "Katakana": [
      0x30A1...0x30FA, 0x30FD...0x30FF, 0x31F0...0x31FF, 0x32D0...0x32FE, 0x3300...0x3357, 0xFF66...0xFF6F,
      0xFF71...0xFF9D,
    ],
  ]
}

/// The two-letter name of a scalar's general category.
func generalCategoryName(of scalar: UnicodeScalar) -> String {
  switch scalar.properties.generalCategory {
  case .uppercaseLetter: "Lu"
  case .lowercaseLetter: "Ll"
  case .titlecaseLetter: "Lt"
  case .modifierLetter: "Lm"
  case .otherLetter: "Lo"
  case .nonspacingMark: "Mn"
  case .spacingMark: "Mc"
  case .enclosingMark: "Me"
  case .decimalNumber: "Nd"
  case .letterNumber: "Nl"
  case .otherNumber: "No"
  case .connectorPunctuation: "Pc"
  case .dashPunctuation: "Pd"
  case .openPunctuation: "Ps"
  case .closePunctuation: "Pe"
  case .initialPunctuation: "Pi"
  case .finalPunctuation: "Pf"
  case .otherPunctuation: "Po"
  case .mathSymbol: "Sm"
  case .currencySymbol: "Sc"
  case .modifierSymbol: "Sk"
  case .otherSymbol: "So"
  case .spaceSeparator: "Zs"
  case .lineSeparator: "Zl"
  case .paragraphSeparator: "Zp"
  case .control: "Cc"
  case .format: "Cf"
  case .surrogate: "Cs"
  case .privateUse: "Co"
  case .unassigned: "Cn"
  @unknown default: "Cn"
  }
}
