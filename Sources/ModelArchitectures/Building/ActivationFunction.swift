import ModelGraph
import PollardBase

/// An activation function under the name that configurations give it.
enum ActivationFunction: String, Sendable {
  case gelu, gelu_python
  case gelu_new, gelu_pytorch_tanh, gelu_python_tanh, gelu_fast, gelu_accurate
  case quick_gelu
  case silu, swish
  case relu, relu2, leaky_relu, elu
  case tanh, sigmoid, mish, linear

  /// Reads an activation from a configuration.
  ///
  /// - Parameter renamed: names that mean another function in a family.
  /// - Throws: `unsupportedConfiguration` naming a function that is not described.
  init(
    _ config: ConfigurationReader, key: String, default name: String, renamed: [String: String] = [:]
  ) throws(FormatError) {
    let text = try config.text(key, default: name)
    guard let found = Self(rawValue: renamed[text] ?? text) else {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key(key), expected: "an activation that is described",
        found: "\"\(text)\"")
    }
    self = found
  }
}

extension ModelBuilder {
  /// Applies an activation function, element by element.
  ///
  /// The faster tanh forms of gelu differ from `gelu_new` in rounding only.
  mutating func activation(_ x: ValueID, _ function: ActivationFunction) throws(FormatError) -> ValueID {
    switch function {
    case .gelu, .gelu_python: return try add("Gelu", [x])
    case .gelu_new, .gelu_pytorch_tanh, .gelu_python_tanh, .gelu_fast, .gelu_accurate:
      return try add("Gelu", [x], ["approximate": .string("tanh")])
    case .quick_gelu: return try add("Swish", [x], ["alpha": .float(1.702)])
    case .silu, .swish: return try add("Swish", [x])
    case .relu: return try add("Relu", [x])
    case .relu2:
      let positive = try add("Relu", [x])
      return try add("Mul", [positive, positive])
    case .leaky_relu: return try add("LeakyRelu", [x], ["alpha": .float(0.01)])
    case .elu: return try add("Elu", [x])
    case .tanh: return try add("Tanh", [x])
    case .sigmoid: return try add("Sigmoid", [x])
    case .mish: return try add("Mish", [x])
    case .linear: return x
    }
  }
}
