import GraphExecution

/// How near results must be, as the suite's own runner says it: floating-point numbers within `1e-7 + 1e-3 · |expected|`; anything else
/// is equal.
struct BackendTolerance {
  var absolute = 1e-7
  var relative = 1e-3
  /// Whether element types are equal too; only strings are then told from numbers.
  var comparesTypes = true

  /// What differs, or nil.
  func difference(_ found: Tensor, _ expected: Tensor) -> String? {
    if !found.isTensor || !expected.isTensor {
      guard let a = found.sequence, let b = expected.sequence, a.count == b.count else {
        return found.isAbsent && expected.isAbsent ? nil : "another kind of value, or another number of tensors"
      }
      for (index, pair) in zip(a, b).enumerated() {
        if let inner = difference(pair.0, pair.1) { return "tensor \(index): \(inner)" }
      }
      return nil
    }
    guard !comparesTypes || found.declaredType == expected.declaredType else {
      return "type \(found.declaredType), expected \(expected.declaredType)"
    }
    guard found.extents == expected.extents else { return "extents \(found.extents), expected \(expected.extents)" }
    guard (found.type == .string) == (expected.type == .string) else { return "type \(found.type)" }
    if found.type == .string { return found.strings() == expected.strings() ? nil : "other strings" }
    if !found.type.isFloatingPoint, !expected.type.isFloatingPoint {
      let (a, b) = (found.integers(), expected.integers())
      guard let index = a.indices.first(where: { a[$0] != b[$0] }) else { return nil }
      return "element \(index) of \(a.count): \(a[index]), expected \(b[index])"
    }
    let (a, b) = (found.doubles(), expected.doubles())
    let wrong = a.indices.filter { index in
      let (x, y) = (a[index], b[index])
      return !(x == y || x.isNaN && y.isNaN || y.isFinite && abs(x - y) <= absolute + relative * abs(y))
    }
    guard let index = wrong.first else { return nil }
    return "\(wrong.count) of \(a.count) elements, first \(index): \(a[index]), expected \(b[index])"
  }
}
