/// A JSON value that remembers the order of object members and the spelling of numbers.
///
/// Changing one key of a configuration and writing it back leaves every other byte as Python's `json.dumps(indent=2)` wrote it:
///
///     var config = try JSONValue(parsing: bytes, allowingNonFinite: true)
///     config = config.settingKey("intermediate_size", to: 2048)
///     let text = config.serialized(.pretty, strings: .matching(bytes)) + "\n"
public enum JSONValue: Sendable, Hashable {
  /// `null`
  case null
  /// `true` or `false`
  case bool(Bool)
  /// A number in its original spelling.
  case number(JSONNumber)
  /// A string, unescaped.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object(JSONObject)
}

extension JSONValue {
  /// The value of a key; nil when there is no such key or this is not an object.
  public subscript(key: String) -> JSONValue? { objectValue?[key] }

  /// The element at a position; nil when there is none or this is not an array.
  public subscript(index: Int) -> JSONValue? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }

  /// The same object with a key's value replaced in place, or appended when the key is new.
  ///
  /// - Precondition: the value is an object.
  public func settingKey(_ key: String, to value: JSONValue) -> JSONValue {
    guard case .object(var object) = self else { preconditionFailure("only objects have keys") }
    object.set(key, to: value)
    return .object(object)
  }

  /// The same object without a key; values that are not objects are given back as they are.
  public func removingKey(_ key: String) -> JSONValue {
    guard case .object(var object) = self else { return self }
    object.remove(key)
    return .object(object)
  }

  /// Whether this is `null`.
  public var isNull: Bool { self == .null }

  /// The truth value, if this is one.
  public var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The whole number, if this is a number without a fraction that fits.
  public var intValue: Int? {
    if case .number(let number) = self { number.intValue } else { nil }
  }

  /// The nearest double, if this is a number.
  public var doubleValue: Double? {
    if case .number(let number) = self { number.doubleValue } else { nil }
  }

  /// The string, if this is one.
  public var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The elements, if this is an array.
  public var arrayValue: [JSONValue]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  /// The members, if this is an object.
  public var objectValue: JSONObject? {
    if case .object(let object) = self { object } else { nil }
  }

  /// What kind of value this is, with its article, for messages.
  public var kindDescription: String {
    switch self {
    case .null: "null"
    case .bool: "a truth value"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// `null`
  public init(nilLiteral: ()) { self = .null }
  /// A truth value.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A number in decimal.
  public init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
  /// A number as Python spells it.
  public init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
  /// A string.
  public init(stringLiteral value: String) { self = .string(value) }
  /// An array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// An object in the order of the literal.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements.map { (key: $0.0, value: $0.1) }))
  }

  /// A number in decimal.
  public init(_ value: Int) { self = .number(JSONNumber(value)) }
  /// A number as Python spells it.
  public init(_ value: Double) { self = .number(JSONNumber(value)) }
  /// A string.
  public init(_ value: String) { self = .string(value) }
  /// A truth value.
  public init(_ value: Bool) { self = .bool(value) }
}
