import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The pickle asks for a class or function, or uses an instruction, that tensors do not need. Nothing has been executed.
  public static let pickleRefused = Self(
    "pickleRefused", "the pickle asks for what is not in a checkpoint of tensors; nothing was run")
  /// The pickle is damaged: cut off, or its instructions do not fit together.
  public static let pickleMalformed = Self("pickleMalformed", "the pickle is malformed")
  /// The pickle is larger or deeper than any checkpoint's.
  public static let pickleTooLarge = Self("pickleTooLarge", "the pickle is beyond what is read")
  /// The file is of an older format of PyTorch, or a program.
  public static let legacyPyTorch = Self("legacyPyTorch", "this PyTorch format is not read")
  /// A tensor is of a kind that is not read: quantised, sparse, lazy, of an unknown type.
  public static let tensorUnsupported = Self("tensorUnsupported", "this kind of tensor is not read")
  /// A tensor's view reaches outside its storage, or its storage is not in the file.
  public static let storageMismatch = Self("storageMismatch", "the tensor does not fit its storage")
}
