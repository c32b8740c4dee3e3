import PollardBase
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("An output file appears complete or not at all")
struct AtomicFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("Nothing is visible before the commit, and only the file after it")
  func commit() throws {
    let output = try AtomicFile(path: folder("model.bin"))
    try output.file.write([1, 2, 3])
    #expect(Directories.kind(of: folder("model.bin")) == nil)
    #expect(try folder.names.count == 1)
    try output.commit()
    #expect(try folder.names == ["model.bin"])
    #expect(try folder.read("model.bin") == "\u{1}\u{2}\u{3}")
  }

  @Test("An output that is given up leaves nothing")
  func abandon() throws {
    do {
      let output = try AtomicFile(path: folder("a"))
      try output.file.write([1])
    }
    let second = try AtomicFile(path: folder("b"))
    second.abandon()
    #expect(try folder.names == [])
  }

  @Test("An existing file is replaced only when that is asked for")
  func existing() throws {
    try folder.write("a", "old")
    #expect(codeThrown { _ = try AtomicFile(path: folder("a")) } == "outputExists")
    let output = try AtomicFile(path: folder("a"), replacing: true)
    try output.file.write(Array("new".utf8))
    #expect(try folder.read("a") == "old")
    try output.commit()
    #expect(try folder.read("a") == "new")
    #expect(try folder.names == ["a"])
  }

  @Test("A name that is taken while writing is not overwritten")
  func takenMeanwhile() throws {
    let output = try AtomicFile(path: folder("a"))
    try folder.write("a", "theirs")
    #expect(codeThrown { try output.commit() } == "outputExists")
    #expect(try folder.names == ["a"])
    #expect(try folder.read("a") == "theirs")
  }

  @Test("An input is never overwritten, under whatever name it is given")
  func inputs() throws {
    try folder.write("in/model", "x")
    symlink(folder("in/model"), folder("alias"))
    link(folder("in/model"), folder("twin"))
    for (output, input) in [("in/model", "in/model"), ("alias", "in/model"), ("twin", "in/model"), ("in", "in/model")] {
      let code = codeThrown {
        _ = try AtomicFile(path: folder(output), replacing: true, inputs: [folder(input)])
      }
      #expect(code == "outputIsInput", "\(output)")
    }
    #expect(try folder.read("in/model") == "x")
  }

  @Test("Many tasks write to one file at once")
  func parallelWrites() async throws {
    let output = try AtomicFile(path: folder("big"))
    let file = output.file
    try file.preallocate(64 * 4096)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for block in 0..<64 {
        group.addTask { try file.write([UInt8](repeating: UInt8(block), count: 4096), at: block * 4096) }
      }
      try await group.waitForAll()
    }
    try output.commit()
    let source = try FileSource(path: folder("big"))
    #expect(source.size == 64 * 4096)
    for block in 0..<64 {
      #expect(try source.bytes(block * 4096..<(block + 1) * 4096).allSatisfy { $0 == UInt8(block) })
    }
  }

  @Test("Leftovers of killed runs are removed, those of living ones are not")
  func staleTemporaries() throws {
    // No Linux or macOS process has a number above 4194304.
    try folder.write(".out.pollard-4194999-abc.tmp", "dead")
    try folder.write(".out.pollard-4194998-abc.tmp/inner/file", "dead folder")
    try folder.write(".out.pollard-1-abc.tmp", "alive")
    try folder.write(".other.pollard-4194999-abc.tmp", "of another output")
    try folder.write(".out.pollard-x-abc.tmp", "not ours")
    let output = try AtomicFile(path: folder("out"))
    try output.commit()
    #expect(
      try folder.names == [
        ".other.pollard-4194999-abc.tmp", ".out.pollard-1-abc.tmp", ".out.pollard-x-abc.tmp", "out",
      ])
  }

  @Test("Very long names are possible")
  func longName() throws {
    let name = String(repeating: "n", count: 250)
    let output = try AtomicFile(path: folder(name))
    try output.commit()
    #expect(try folder.names == [name])
  }
}

@Suite("An output folder appears complete or not at all")
struct AtomicDirectoryTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("The folder appears with everything in it")
  func commit() throws {
    try folder.write("source/a.txt", "A")
    try folder.write("source/sub/deep/b.txt", "B")
    symlink(folder("source/a.txt"), folder("source/link.txt"))
    chmod(folder("source/a.txt"), 0o640)
    let output = try AtomicDirectory(path: folder("out/"))
    try output.writeFile("config.json", Array("{}".utf8))
    let file = try output.createFile("weights/part")
    try output.copyFolder(folder("source"), as: "copied")
    try file.write([7], at: 1)
    #expect(Directories.kind(of: folder("out")) == nil)
    try output.commit()
    #expect(try folder.names == ["out", "source"])
    #expect(try folder.read("out/config.json") == "{}")
    #expect(try folder.read("out/weights/part") == "\u{0}\u{7}")
    #expect(try folder.read("out/copied/sub/deep/b.txt") == "B")
    #expect(Directories.kind(of: folder("out/copied/link.txt"), followingLinks: false) == .file)
    var status = stat()
    #expect(stat(folder("out/copied/a.txt"), &status) == 0 && status.st_mode & 0o777 == 0o640)
  }

  @Test("A folder that is given up leaves nothing")
  func abandon() throws {
    do {
      let output = try AtomicDirectory(path: folder("out"))
      try output.writeFile("a/b/c", [1])
    }
    #expect(try folder.names == [])
  }

  @Test(
    "Names that lead outside are refused", arguments: ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a\\b", "c:x"])
  func escapes(name: String) throws {
    let output = try AtomicDirectory(path: folder("out"))
    #expect(codeThrown { try output.writeFile(name, [1]) } == "cannotWrite")
  }

  @Test("An existing folder is replaced whole, and only when that is asked for")
  func replacing() throws {
    try folder.write("out/old/file", "old")
    #expect(codeThrown { _ = try AtomicDirectory(path: folder("out")) } == "outputExists")
    let output = try AtomicDirectory(path: folder("out"), replacing: true)
    try output.writeFile("new", Array("new".utf8))
    #expect(try folder.read("out/old/file") == "old")
    try output.commit()
    #expect(try folder.names == ["out"])
    #expect(try Directories.names(in: folder("out")) == ["new"])
  }

  @Test("Replacing a link replaces the link, not what it leads to")
  func replacingLink() throws {
    try folder.write("precious/file", "x")
    symlink(folder("precious"), folder("out"))
    let output = try AtomicDirectory(path: folder("out"), replacing: true)
    try output.commit()
    #expect(try folder.read("precious/file") == "x")
    #expect(Directories.kind(of: folder("out"), followingLinks: false) == .directory)
    #expect(try folder.names == ["out", "precious"])
  }

  @Test("A folder that holds an input, or the current folder, is not replaced")
  func inputs() throws {
    try folder.write("models/bert/model", "x")
    let code = codeThrown {
      _ = try AtomicDirectory(path: folder("models"), replacing: true, inputs: [folder("models/bert")])
    }
    #expect(code == "outputIsInput")
    #expect(codeThrown { _ = try AtomicDirectory(path: ".", replacing: true) } == "outputExists")
    #expect(codeThrown { _ = try AtomicDirectory(path: "/", replacing: true) } == "outputExists")
  }

  @Test("Copying a folder that contains itself ends with an error")
  func circle() throws {
    try folder.write("source/a", "A")
    symlink(folder("source"), folder("source/again"))
    let output = try AtomicDirectory(path: folder("out"))
    #expect(codeThrown { try output.copyFolder(folder("source"), as: "copied") } == "cannotOpen")
    output.abandon()
    #expect(try folder.names == ["source"])
  }

  @Test("Two links to the folder they lie in end with the same error, at once")
  func circles() throws {
    try folder.write("source/inner/a", "A")
    for name in ["one", "two"] { symlink(".", folder("source/inner/\(name)")) }
    let output = try AtomicDirectory(path: folder("out"))
    #expect(codeThrown { try output.copyFolder(folder("source"), as: "copied") } == "cannotOpen")
    symlink(".", folder("source/itself"))
    #expect(codeThrown { try output.copyFolder(folder("source/itself"), as: "again") } == "cannotOpen")
  }
}

@Suite("A full device gives a clear error and leaves nothing")
struct FullDeviceTests {
  @Test("An output larger than the free space is refused before it begins")
  func freeSpaceCheck() throws {
    #expect(codeThrown { try requireFreeSpace(Int.max, at: "/tmp/not/there/yet") } == "diskFull")
    #expect(codeThrown { try requireFreeSpace(1, at: "/tmp") } == nil)
  }

  #if os(Linux)
    @Test("A write to a full device says so")
    func fullDevice() throws {
      let folder = try TemporaryFolder()
      guard mount("tmpfs", folder.path, "tmpfs", 0, "size=1m") == 0 else {
        print("skipped: a tmpfs of one megabyte cannot be mounted here: \(String(cString: strerror(errno)))")
        return
      }
      defer { umount(folder.path) }
      do {
        let file = try AtomicFile(path: folder("model"))
        #expect(codeThrown { try file.file.preallocate(4 << 20) } == "diskFull")
        let megabytes = [UInt8](repeating: 1, count: 4 << 20)
        #expect(codeThrown { try file.file.write(megabytes) } == "diskFull")
      }
      let output = try AtomicDirectory(path: folder("out"))
      let error = #expect(throws: FormatError.self) {
        for number in 0..<4 { try output.writeFile("part\(number)", [UInt8](repeating: 1, count: 1 << 19)) }
      }
      #expect(error?.code == .diskFull)
      #expect(error?.file == folder("out/part1") || error?.file == folder("out/part2"))
      output.abandon()
      #expect(try folder.names == [])
    }
  #endif
}

@Suite("Paths are taken apart and put together")
struct PathTests {
  @Test(
    "Parent and last component",
    arguments: [
      ("a", ".", "a"), ("a/", ".", "a"), ("/a", "/", "a"), ("/", "/", ""), ("a/b", "a", "b"), ("a//b//", "a", "b"),
      ("/a/b", "/a", "b"), ("..", ".", ".."), ("/ä/ö.x", "/ä", "ö.x"),
    ])
  func parts(path: String, parent: String, last: String) {
    #expect(Paths.parent(path) == parent)
    #expect(Paths.lastComponent(path) == last)
  }

  @Test("A pipe is not opened as a file, and does not block")
  func pipe() throws {
    let folder = try TemporaryFolder()
    mkfifo(folder("pipe"), 0o600)
    #expect(codeThrown { _ = try FileSource(path: folder("pipe")) } == "cannotOpen")
  }
}
