import PollardBase

/// A number of bytes as people write it: `5GB`, `500MB`, `1.5 GB`, `2GiB`, `1048576`.
///
/// Units are decimal, as in huggingface_hub: kB, MB, GB, TB are 10³, 10⁶, 10⁹, 10¹²; KiB, MiB, GiB, TiB are powers of 1024.
/// Case does not matter.
///
/// - Throws: `malformedSize` for anything else, for zero, and for more than 2⁶³ − 1 bytes.
public func byteSize(parsing text: String) throws(FormatError) -> Int {
  let failure = FormatError(
    .malformedSize, expected: "a positive size such as 5GB, 500MB or 2GiB", found: "\"\(text)\"")
  let compact = text.lowercased().filter { $0 != " " }
  let digits = compact.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
  let units = [
    "": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000, "kib": 1 << 10,
    "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
  ]
  guard let unit = units[String(compact.dropFirst(digits.count))] else { throw failure }
  let halves = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
  guard let first = halves.first, let whole = Int(first) else { throw failure }
  var bytes = whole.multipliedReportingOverflow(by: unit)
  if halves.count > 1 {
    // Nine digits of a unit below 2⁴¹ stay below 2⁷¹, so the product is formed in two words.
    guard (1...9).contains(halves[1].count), let fraction = Int(halves[1]) else { throw failure }
    let scale = (0..<halves[1].count).reduce(1) { product, _ in product * 10 }
    let product = fraction.multipliedFullWidth(by: unit)
    let share = scale.dividingFullWidth(product).quotient
    let (sum, overflow) = bytes.partialValue.addingReportingOverflow(share)
    bytes = (sum, bytes.overflow || overflow)
  }
  guard !bytes.overflow, bytes.partialValue > 0 else { throw failure }
  return bytes.partialValue
}
