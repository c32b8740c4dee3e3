import PollardBase

/// What a file is, by its first bytes, as far as PyTorch writes such files.
package enum PyTorchContainer: Sendable, Hashable {
  /// A zip archive: PyTorch since 1.6, also TorchScript and NumPy.
  case zip
  /// The stream of pickles that PyTorch wrote before 1.6.
  case pickleStream
  /// A pickle that PyTorch's `save` did not write.
  case pickle
  /// The tar archive of the first versions.
  case tar
  /// A container that was never released.
  case preview

  /// Recognises a file; nil for everything else.
  package init?(_ source: FileSource) throws(FormatError) {
    let prefix = try source.bytes(0..<min(source.size, 512))
    // A LONG1 of the magic number 0x1950a86a20f9469cfc6c.
    let magic: [UInt8] = [0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    if prefix.starts(with: [0x50, 0x4B, 0x03, 0x04]) || prefix.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
      self = .zip
    } else if prefix.count > 2, prefix[0] == 0x80, (1...5).contains(prefix[1]) {
      self =
        prefix.dropFirst(2).starts(with: magic) || prefix.dropFirst(11).starts(with: magic) ? .pickleStream : .pickle
    } else if prefix.count == 512, prefix[257..<262].elementsEqual("ustar".utf8) {
      self = .tar
    } else if prefix.starts(with: "PYTORCH1".utf8) {
      self = .preview
    } else {
      return nil
    }
  }

  /// Refuses everything but zip, with the way to a file that is read.
  package func requireZip(_ path: String) throws(FormatError) {
    let resave =
      "save it again with a current PyTorch: torch.save(torch.load(\"\(Paths.lastComponent(path))\", weights_only=True), …)"
    func refused(_ found: String, _ remedy: String) -> FormatError {
      FormatError(
        .legacyPyTorch, file: path, expected: "the zip file that PyTorch writes since 1.6", found: found, remedy: remedy
      )
    }
    switch self {
    case .zip: return
    case .pickleStream: throw refused("the stream of pickles that it wrote before", resave)
    case .pickle:
      throw refused(
        "a Python pickle that torch.save did not write",
        "save the tensors with torch.save(state_dict, …) or as safetensors")
    case .tar: throw refused("the tar archive of PyTorch 0.1", resave)
    case .preview: throw refused("a container that was never released", resave)
    }
  }
}
