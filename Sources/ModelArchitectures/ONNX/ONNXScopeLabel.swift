import CheckpointFormats
import PollardBase

/// Where in the model's modules a node stands, as far as exporters tell.
enum ONNXScopeLabel {
  /// The path of modules around a node, such as `encoder.layer.0.attention.self`; empty when nothing tells.
  ///
  /// torch.export writes a list of nested module paths that ends with the node's own name, TorchScript the path into the node's name.
  static func scope(of node: ONNXNode) -> String {
    if let list = node.metadata["pkg.torch.onnx.name_scopes"]?.text {
      let paths = quoted(list).dropLast()
      if let innermost = paths.last(where: { !$0.isEmpty }) { return innermost }
    }
    if let namespace = node.metadata["namespace"]?.text {
      let parts = namespace.split(separator: "/").dropLast().map { $0.prefix { $0 != ":" } }
      if let innermost = parts.last(where: { !$0.isEmpty }) { return String(innermost) }
    }
    let parts = (node.name ?? "").description.split(separator: "/", omittingEmptySubsequences: true)
    return parts.count > 1 ? parts.dropLast().joined(separator: ".") : ""
  }

  /// The strings of a list as Python prints it.
  private static func quoted(_ list: String) -> [String] {
    var result: [String] = []
    let bytes = Array(list.utf8)
    var open: (start: Int, quote: UInt8)?
    for (place, byte) in bytes.enumerated() {
      if let (start, quote) = open {
        guard byte == quote else { continue }
        result.append(String(decoding: bytes[start..<place], as: UTF8.self))
        open = nil
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        open = (place + 1, byte)
      }
    }
    return result
  }
}
