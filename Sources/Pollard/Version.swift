/// The version of the library and of the command-line tool.
public let pollardVersion = "0.1.0"
