import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The file is too short for the eight bytes of its header's length.
  public static let headerTooShort = Self("headerTooShort", "the file is too short to be a safetensors file")
  /// The header's length is above the format's limit of 100 000 000 bytes.
  public static let headerTooLarge = Self("headerTooLarge", "the safetensors header is larger than the format allows")
  /// The header's length reaches past the end of the file.
  public static let headerOutsideFile = Self("headerOutsideFile", "the safetensors header reaches past the end")
  /// The header is not UTF-8.
  public static let headerNotUTF8 = Self("headerNotUTF8", "the safetensors header is not UTF-8")
  /// The header is not JSON, or not of the structure that the format asks for.
  public static let headerMalformed = Self("headerMalformed", "the safetensors header is malformed")
  /// One name stands for two tensors.
  public static let duplicateTensor = Self("duplicateTensor", "two tensors have the same name")
  /// An element type is not one of the format's.
  public static let unknownElementType = Self("unknownElementType", "the element type is unknown")
  /// The byte ranges leave a hole, overlap, or run backwards.
  public static let offsetsNotContiguous = Self(
    "offsetsNotContiguous", "the byte range does not begin where the one before it ends")
  /// The number of elements or bits does not fit 64 bits.
  public static let shapeOverflow = Self("shapeOverflow", "the shape is too large to count its elements")
  /// Elements narrower than a byte do not fill whole bytes.
  public static let misalignedSize = Self("misalignedSize", "the elements do not fill whole bytes")
  /// The byte range is not as long as shape and element type ask for.
  public static let sizeMismatch = Self("sizeMismatch", "the byte range does not fit the shape")
  /// The file is longer or shorter than its header says.
  public static let dataLengthMismatch = Self(
    "dataLengthMismatch", "the file does not end where its last tensor does")
  /// The file is of another, recognised format.
  public static let wrongFormat = Self("wrongFormat", "this is not a safetensors file")
  /// A tensor has a name that the format keeps for itself.
  public static let reservedName = Self("reservedName", "the format reserves this tensor name")
  /// The index of a sharded checkpoint is not of the structure that the format asks for.
  public static let indexMalformed = Self("indexMalformed", "the shard index is malformed")
  /// The index names a shard that is not a file inside the checkpoint's folder.
  public static let unsafeShardName = Self("unsafeShardName", "the shard index names a file outside its folder")
  /// The index names a shard that does not exist.
  public static let missingShard = Self("missingShard", "a shard is missing")
  /// Index and shards disagree about a tensor.
  public static let indexMismatch = Self("indexMismatch", "the shard index and the shards disagree")
  /// The path does not lead to a checkpoint.
  public static let noCheckpoint = Self("noCheckpoint", "there is no checkpoint here")
  /// A size such as `5GB` is misspelled.
  public static let malformedSize = Self("malformedSize", "the size is not understood")
}
