import PollardBase

/// Feeds any bytes to the pickle machine, and what it makes of them to the search for tensors. Must never trap.
///
/// An entry point of fuzzers. Returns whether the bytes were a checkpoint's pickle.
@discardableResult
package func fuzzPickle(_ bytes: [UInt8]) -> Bool {
  do throws(FormatError) {
    let tree = try TensorTree(PickleMachine.run(bytes))
    for (_, tensor) in tree.tensors {
      precondition(tensor.touchedBytes.upperBound <= tensor.storageBytes, "an accepted view lies inside its storage")
    }
    return true
  } catch {
    precondition(!error.description.isEmpty, "an error says what is wrong")
    return false
  }
}

/// Opens a file as PyTorch's or NumPy's, and reads what it accepts. Must never trap.
///
/// An entry point of fuzzers. Returns whether the file was accepted.
@discardableResult
package func fuzzArchive(path: String) -> Bool {
  do throws(FormatError) {
    let source = try FileSource(path: path)
    if try NumPyFile.recognizes(source) {
      for array in try NumPyFile(source).arrays where array.weight.byteCount < 1 << 24 { _ = try array.weight.bytes() }
      return true
    }
    let file = try PyTorchFile(source)
    for tensor in file.tensors {
      guard let weight = try file.weight(tensor.name), weight.byteCount < 1 << 24 else { continue }
      _ = try weight.bytes()
    }
    return true
  } catch {
    precondition(!error.description.isEmpty, "an error says what is wrong")
    return false
  }
}

extension PyTorchFile {
  /// The bytes of the pickle of a file.
  package static func pickle(path: String) throws(FormatError) -> [UInt8] {
    try PyTorchArchive(ZipArchive(FileSource(path: path))).record("data.pkl", limit: PickleMachine.sizeLimit).bytes
  }
}
