// swift-tools-version: 6.2

import PackageDescription

let package = Package(
  name: "pollard",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Pollard", targets: ["Pollard"]),
    .executable(name: "pollard", targets: ["PollardCLI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "CTensorKernels"),
    .target(name: "PollardBase"),
    .target(name: "TensorStorage", dependencies: ["PollardBase", "CTensorKernels"]),
    .target(name: "TensorKernels", dependencies: ["PollardBase", "TensorStorage", "CTensorKernels"]),
    .target(name: "CheckpointFormats", dependencies: ["PollardBase", "TensorStorage", "CZlib"]),
    .target(name: "ModelGraph", dependencies: ["PollardBase", "TensorStorage"]),
    .target(name: "GraphExecution", dependencies: ["PollardBase", "TensorStorage", "TensorKernels", "ModelGraph"]),
    .target(
      name: "ModelArchitectures",
      dependencies: ["PollardBase", "TensorStorage", "TensorKernels", "CheckpointFormats", "ModelGraph"]),
    .target(
      name: "GraphCompaction",
      dependencies: ["PollardBase", "TensorStorage", "CTensorKernels", "ModelGraph"]),
    .target(
      name: "ModelVerification",
      dependencies: [
        "PollardBase", "TensorStorage", "TensorKernels", "ModelGraph", "GraphExecution", "GraphCompaction",
      ]),
    .target(
      name: "ModelImportance",
      dependencies: ["PollardBase", "TensorStorage", "ModelGraph", "GraphExecution", "GraphCompaction"]),
    .target(
      name: "Pollard",
      dependencies: [
        "PollardBase", "TensorStorage", "TensorKernels", "CheckpointFormats", "ModelGraph", "GraphExecution",
        "ModelArchitectures", "GraphCompaction", "ModelVerification", "ModelImportance",
      ]),
    .executableTarget(
      name: "PollardCLI",
      dependencies: [
        "Pollard", "PollardBase",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .testTarget(name: "PollardBaseTests", dependencies: ["PollardBase"]),
    .testTarget(name: "TensorStorageTests", dependencies: ["TensorStorage"]),
    .testTarget(name: "TensorKernelsTests", dependencies: ["TensorKernels", "CTensorKernels"]),
    .testTarget(name: "CheckpointFormatsTests", dependencies: ["CheckpointFormats"]),
    .testTarget(name: "ModelGraphTests", dependencies: ["ModelGraph"]),
    .testTarget(
      name: "GraphExecutionTests",
      dependencies: ["GraphExecution", "PollardBase", "TensorStorage", "TensorKernels", "ModelGraph"],
      exclude: ["make-reference-values", "ReferenceCases.json"]),
    .testTarget(name: "ModelArchitecturesTests", dependencies: ["ModelArchitectures", "GraphExecution"]),
    .testTarget(
      name: "GraphCompactionTests", dependencies: ["GraphCompaction", "GraphExecution", "ModelVerification"]),
    .testTarget(name: "ModelVerificationTests", dependencies: ["ModelVerification"]),
    .testTarget(name: "PollardTests", dependencies: ["Pollard"]),
    .testTarget(
      name: "BackendTests",
      dependencies: [
        "PollardBase", "TensorStorage", "CheckpointFormats", "ModelGraph", "GraphExecution", "ModelArchitectures",
      ],
      exclude: ["Cases", "ControlCases"]),
    .testTarget(name: "CommandLineTests", dependencies: ["PollardCLI", "PollardBase"]),
  ],
  swiftLanguageModes: [.v6]
)
