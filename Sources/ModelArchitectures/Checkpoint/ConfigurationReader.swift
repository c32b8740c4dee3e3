import PollardBase

/// Typed access to the keys of a config.json, with errors that name key, expectation and finding.
struct ConfigurationReader: Sendable {
  /// The members of the configuration.
  let object: JSONObject
  /// The path named in errors.
  let file: String?

  /// Largest count that is believed; products of three such numbers fit 64 bits with room to spare.
  private static let limit = 1 << 20
  private static let vocabularyLimit = 1 << 28

  init(_ value: JSONValue, file: String?) throws(FormatError) {
    guard let object = value.objectValue else {
      throw FormatError(.configurationValue, file: file, expected: "an object", found: value.kindDescription)
    }
    self.object = object
    self.file = file
  }

  private init(_ object: JSONObject, file: String?) {
    self.object = object
    self.file = file
  }

  /// Whether a key is there with a value that is not null.
  func has(_ key: String) -> Bool { object[key].map { !$0.isNull } ?? false }

  /// The value of a key; nil for an absent key and for null.
  func value(_ key: String) -> JSONValue? {
    guard let found = object[key], !found.isNull else { return Optional.none }
    return found
  }

  /// A count of at least one; a nil default makes the key required.
  func count(_ key: String, default value: Int? = nil) throws(FormatError) -> Int {
    guard let found = try optionalCount(key) ?? value else { throw missing(key, "a whole number from 1 on") }
    return found
  }

  /// A count of at least one, or nil when the key is absent or null.
  func optionalCount(_ key: String) throws(FormatError) -> Int? {
    try optionalInteger(key, in: 1...Self.limit)
  }

  /// A count of heads that divides a width.
  func headCount(
    _ key: String, default value: Int, dividing width: Int, _ widthKey: String
  ) throws(FormatError) -> Int {
    let heads = try count(key, default: value)
    guard width % heads == 0 else {
      throw FormatError(
        .configurationValue, file: file, subject: .key(key), expected: "a divisor of \(widthKey) \(width)",
        found: "\(heads)")
    }
    return heads
  }

  /// A number of table rows, such as a vocabulary's.
  func rows(_ key: String, default value: Int? = nil) throws(FormatError) -> Int {
    guard let found = try optionalInteger(key, in: 1...Self.vocabularyLimit) ?? value else {
      throw missing(key, "a whole number from 1 on")
    }
    return found
  }

  /// A whole number in a range, or nil when the key is absent or null.
  func optionalInteger(_ key: String, in range: ClosedRange<Int>) throws(FormatError) -> Int? {
    guard let found = value(key) else { return nil }
    guard let number = found.intValue, range.contains(number) else {
      throw unusable(key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)", found)
    }
    return number
  }

  /// A finite number, or the default when the key is absent or null; a nil default makes the key required.
  func number(_ key: String, default value: Double? = nil) throws(FormatError) -> Double {
    guard let found = try optionalNumber(key) ?? value else { throw missing(key, "a number") }
    return found
  }

  /// A finite number, or nil when the key is absent or null.
  func optionalNumber(_ key: String) throws(FormatError) -> Double? {
    guard let found = value(key) else { return nil }
    guard let number = found.doubleValue, number.isFinite else {
      throw unusable(key, expected: "a finite number", found)
    }
    return number
  }

  /// A number above zero, or the default when the key is absent or null; a nil default makes the key required.
  func positiveNumber(_ key: String, default value: Double? = nil) throws(FormatError) -> Double {
    let found = try number(key, default: value)
    guard found > 0 else { throw unusable(key, expected: "a number above 0", object[key] ?? .null) }
    return found
  }

  /// A truth value.
  func flag(_ key: String, default value: Bool) throws(FormatError) -> Bool {
    guard let found = self.value(key) else { return value }
    guard let flag = found.boolValue else { throw unusable(key, expected: "true or false", found) }
    return flag
  }

  /// A string, or the default when the key is absent or null.
  func text(_ key: String, default value: String) throws(FormatError) -> String {
    guard let found = self.value(key) else { return value }
    guard let text = found.stringValue else { throw unusable(key, expected: "a string", found) }
    return text
  }

  /// A list of finite numbers.
  func numbers(_ key: String) throws(FormatError) -> [Double] {
    guard let found = value(key) else { throw missing(key, "a list of numbers") }
    var result: [Double] = []
    for element in found.arrayValue ?? [] {
      guard let number = element.doubleValue, number.isFinite else {
        throw unusable(key, expected: "finite numbers", element)
      }
      result.append(number)
    }
    guard found.arrayValue != nil else { throw unusable(key, expected: "a list of numbers", found) }
    return result
  }

  /// The members of a nested object, or nil when the key is absent or null.
  func nested(_ key: String) throws(FormatError) -> ConfigurationReader? {
    guard let found = value(key) else { return nil }
    guard let object = found.objectValue else { throw unusable(key, expected: "an object", found) }
    return ConfigurationReader(object, file: file)
  }

  /// Refuses a flag that would make the model another one.
  func refuse(_ key: String, because remedy: String? = nil) throws(FormatError) {
    if try flag(key, default: false) {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(key), expected: "false", found: "true", remedy: remedy)
    }
  }

  /// An error about a value that is there.
  func unusable(_ key: String, expected: String, _ found: JSONValue) -> FormatError {
    let text = found.serialized(.compact)
    return FormatError(
      .configurationValue, file: file, subject: .key(key), expected: expected,
      found: text.utf8.count > 80 ? found.kindDescription : text)
  }

  /// An error about a key that must be there.
  func missing(_ key: String, _ expected: String) -> FormatError {
    FormatError(.configurationValue, file: file, subject: .key(key), expected: expected, found: "no value")
  }
}
