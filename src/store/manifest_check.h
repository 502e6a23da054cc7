// Whether what a manifest says can be true, before anybody asks for memory or reads a shard file because of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lcsc/store/trajectory.h"

namespace lcsc {

// Elements of one tensor, and of all together: 2^48, a thousand times more than the largest network.
inline constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

// The shape that this text gives, "[64, 3, 3, 3]", with at most kMostElements elements. Throws InputError that names
// manifest and tensor.
std::vector<std::int64_t> ParseShape(const std::filesystem::path& manifest, const std::string& tensor,
                                     const std::string& text);

// Whether this is JSON that is nested no deeper than any network: its readers call themselves at each level.
bool IsShallowJson(const std::string& text);

// Throws InputError unless the steps ascend, no tensor is there twice, and the shard files, which are there and long
// enough for what they should hold, tile all parameters of all checkpoints.
void CheckTrajectory(const Trajectory& trajectory, const std::filesystem::path& manifest);

[[noreturn]] void RefuseManifest(const std::filesystem::path& manifest, const std::string& reason);

}  // namespace lcsc
