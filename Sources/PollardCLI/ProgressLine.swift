import Pollard

/// A line on the terminal that says how far a verification has come; nothing where standard error is no terminal.
final class ProgressLine {
  private let isShown: Bool
  private var text = ""

  init(_ options: GlobalOptions) { isShown = !options.quiet && Console.isTerminal(2) }

  /// Shows a state of progress in place of the one before.
  func show(_ progress: VerificationProgress) {
    guard isShown else { return }
    let phrase =
      switch progress.stage {
      case .tensors: "comparing tensors"
      case .run: "running both models"
      case .search: "looking for the operator that differs"
      }
    let layer = progress.layer.map { ", layer \($0)" } ?? ""
    let line = "\(phrase)\(layer): \(Int(min(max(progress.share, 0), 1) * 100)) %"
    guard line != text else { return }
    text = line
    Console.progress("\r\u{1B}[K\(line)")
  }

  /// Takes the line away.
  func clear() {
    if isShown, !text.isEmpty { Console.progress("\r\u{1B}[K") }
    text = ""
  }

  deinit { clear() }
}
