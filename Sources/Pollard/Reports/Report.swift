import PollardBase

/// What a verb has to say, for people and for programs.
public protocol Report: Sendable {
  /// One document: `schema` first, keys in snake case, in a fixed order.
  var json: JSONValue { get }
  /// The same for a person, without a trailing newline.
  var text: String { get }
}

/// The version of the JSON documents' schema.
let reportSchema = JSONValue(1)

/// A number of bytes for a person: `4.7 MB`, decimal units as in file managers.
func humanBytes(_ count: Int) -> String {
  let units = ["B", "kB", "MB", "GB", "TB"]
  var value = Double(count)
  var unit = 0
  while value >= 999.5, unit < units.count - 1 {
    value /= 1000
    unit += 1
  }
  return unit == 0 ? "\(count) B" : "\(rounded(value, value < 9.95 ? 1 : 0)) \(units[unit])"
}

/// A count for a person, with separators: `110,104,890`.
func humanCount(_ count: Int) -> String {
  var digits = Array(String(count.magnitude))
  var place = digits.count - 3
  while place > 0 {
    digits.insert(",", at: place)
    place -= 3
  }
  return (count < 0 ? "-" : "") + String(digits)
}

/// A number with a fixed number of decimals.
func rounded(_ value: Double, _ decimals: Int) -> String {
  guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
  var scale = 1.0
  for _ in 0..<decimals { scale *= 10 }
  let scaled = Int((value.magnitude * scale).rounded())
  let whole = scaled / Int(scale)
  guard decimals > 0 else { return (value < 0 ? "-" : "") + "\(whole)" }
  let fraction = String(scaled % Int(scale))
  return (value < 0 ? "-" : "") + "\(whole)." + String(repeating: "0", count: decimals - fraction.count) + fraction
}

/// A share for a person: `-35.1 %`.
func change(_ before: Int, _ after: Int) -> String {
  guard before > 0 else { return "±0 %" }
  let share = (Double(after) - Double(before)) / Double(before) * 100
  return (share > 0 ? "+" : "") + rounded(share, 1) + " %"
}
