import TensorStorage

extension ImportedGGUFModel {
  /// What llama.cpp computes otherwise than this model, in sentences: those a conversion tells.
  public var loaderRemarks: [String] {
    var weights: [String: Weight] = [:]
    for tensor in model.tensors { weights[model.role(of: tensor.name)] = tensor.weight }
    let writing = GGUFWriting(
      family: family, config: model.config, file: file, layers: model.layers, weights: weights, fileType: 0)
    // What cannot be written again was said by other means.
    return (try? family.checkWriting(writing)) ?? []
  }
}
