import ModelGraph
import PollardBase
import TensorStorage

extension ModelBuilder {
  /// Which keys exist: `attention_mask` `[batch, sequence]` as truth values `[batch, 1, 1, sequence]`.
  mutating func keyMask(_ attentionMask: ValueID) throws(FormatError) -> ValueID {
    let truth = try add("Cast", [attentionMask], ["to": .onnxType(.bool)])
    return try add("Unsqueeze", [truth, integers([1, 2])])
  }

  /// Keys that exist and lie fewer than `window` places before the query: `[batch, 1, sequence, sequence]`.
  ///
  /// Keys after the query are left to `is_causal`.
  mutating func windowMask(_ keyMask: ValueID, window: Int, tokens: ValueID) throws(FormatError) -> ValueID {
    let extent = try add("Shape", [tokens], ["start": .integer(1), "end": .integer(2)])
    let length = try add("Squeeze", [extent, integers([0])])
    let places = try add("Range", [integerScalar(0), length, integerScalar(1)])
    let queries = try add("Unsqueeze", [places, integers([1])])
    let keys = try add("Unsqueeze", [places, integers([0])])
    let near = try add("Less", [add("Sub", [queries, keys]), integerScalar(window)])
    return try add("And", [keyMask, near])
  }
}
