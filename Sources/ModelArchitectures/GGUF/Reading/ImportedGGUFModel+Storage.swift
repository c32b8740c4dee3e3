import CheckpointFormats

extension ImportedGGUFModel {
  /// How a parameter of the checkpoint that the file is read as lies in it: the type, and the bytes of its elements.
  public func storage(of parameter: String) -> (type: GGUFTensorType, byteCount: Int)? {
    let role = model.role(of: parameter)
    guard let slot = map.slots.first(where: { $0.roles.contains(role) }), let place = slot.roles.firstIndex(of: role),
      let tensor = source.tensors.first(where: { $0.name == slot.names[min(place, slot.names.count - 1)] }),
      let binding = model.bindings.first(where: { $0.tensor == parameter })
    else { return nil }
    let blocks = binding.storedShape.elementCount / tensor.type.elementsPerBlock
    return (tensor.type, blocks * tensor.type.bytesPerBlock)
  }
}
