import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  // Header

  /// The file does not begin with the four letters of the format.
  public static let notGGUF = Self("notGGUF", "this is not a GGUF file")
  /// The version is none that is known, or does not go with the byte order.
  public static let ggufVersionUnsupported = Self("ggufVersionUnsupported", "the GGUF version is not supported")
  /// The header promises more keys or tensors than the file has room for.
  public static let ggufCountImpossible = Self(
    "ggufCountImpossible", "the header counts more entries than the file can hold")

  // Metadata

  /// A string is longer than the format's readers allow.
  public static let ggufStringTooLong = Self("ggufStringTooLong", "the string is longer than 1 GiB")
  /// A metadata key has no letters.
  public static let ggufKeyEmpty = Self("ggufKeyEmpty", "a metadata key is empty")
  /// One key stands for two values.
  public static let ggufKeyDuplicate = Self("ggufKeyDuplicate", "the metadata have the key twice")
  /// A key or a tensor's name is not UTF-8.
  public static let ggufNameNotUTF8 = Self("ggufNameNotUTF8", "the name is not UTF-8")
  /// The number of a value's type is none of the format's.
  public static let ggufValueTypeUnknown = Self("ggufValueTypeUnknown", "the type of the value is unknown")
  /// An array holds arrays.
  public static let ggufArrayNested = Self("ggufArrayNested", "an array holds arrays, which the readers refuse")
  /// An array has more elements than the format's readers allow.
  public static let ggufArrayTooLong = Self("ggufArrayTooLong", "the array has more than 2^30 elements")
  /// `general.alignment` is of another type than `uint32`.
  public static let ggufAlignmentType = Self("ggufAlignmentType", "the alignment has the wrong type")
  /// `general.alignment` is no power of two.
  public static let ggufAlignmentInvalid = Self("ggufAlignmentInvalid", "the alignment is not a power of two")

  // Tensors

  /// A tensor's name is longer than the format's readers allow.
  public static let ggufTensorNameTooLong = Self("ggufTensorNameTooLong", "the tensor's name is too long")
  /// A tensor has more than four axes.
  public static let ggufTooManyAxes = Self("ggufTooManyAxes", "the tensor has too many axes")
  /// An extent is below zero.
  public static let ggufExtentNegative = Self("ggufExtentNegative", "an extent is negative")
  /// The number of a tensor's type is none of the format's.
  public static let ggufTensorTypeUnknown = Self("ggufTensorTypeUnknown", "the type of the tensor is unknown")
  /// The number of a tensor's type stood for a type that the format has given up.
  public static let ggufTensorTypeRemoved = Self("ggufTensorTypeRemoved", "the type of the tensor exists no more")
  /// Rows are not whole blocks of their type.
  public static let ggufRowNotWholeBlocks = Self(
    "ggufRowNotWholeBlocks", "the rows of the tensor are not whole blocks")
  /// The header does not leave room for the start of the data.
  public static let ggufDataOutsideFile = Self("ggufDataOutsideFile", "the data begin after the end of the file")
  /// A tensor begins somewhere else than where the one before it ends, padded.
  public static let ggufOffsetUnexpected = Self(
    "ggufOffsetUnexpected", "the tensor does not begin where the one before it ends")
  /// A tensor reaches past the end of the file.
  public static let ggufTensorOutsideFile = Self(
    "ggufTensorOutsideFile", "the tensor reaches past the end of the file")
  /// How the bytes of a packed type are swapped is not defined.
  public static let ggufByteOrderUndefined = Self(
    "ggufByteOrderUndefined", "the byte order of this type in big-endian files is not defined")

  // Access

  /// A key that is needed is not there.
  public static let ggufKeyMissing = Self("ggufKeyMissing", "the metadata do not have the key")
  /// A key holds a value of another type.
  public static let ggufValueTypeMismatch = Self("ggufValueTypeMismatch", "the value has another type")
  /// A number does not fit what it is wanted as.
  public static let ggufValueOutOfRange = Self("ggufValueOutOfRange", "the value is out of range")
  /// An array has another length.
  public static let ggufArrayLengthMismatch = Self("ggufArrayLengthMismatch", "the array has another length")

  // Split files

  /// The name of a part does not follow the pattern that the others are found by.
  public static let ggufSplitName = Self(
    "ggufSplitName", "the name of the part does not follow the pattern of split files")
  /// A part lacks a `split.` key, or it has the wrong type.
  public static let ggufSplitKey = Self("ggufSplitKey", "the part of a split file does not say which it is")
  /// `split.no` is not the number in the name.
  public static let ggufSplitNumber = Self("ggufSplitNumber", "the part is another than its name says")
  /// The parts or their names disagree about how many there are.
  public static let ggufSplitCount = Self("ggufSplitCount", "the parts disagree about their number")
  /// The parts do not hold as many tensors as they say.
  public static let ggufSplitTensorCount = Self(
    "ggufSplitTensorCount", "the parts do not hold as many tensors as they say")
  /// Parts come from different models.
  public static let ggufSplitMixed = Self("ggufSplitMixed", "the parts do not belong together")
}
