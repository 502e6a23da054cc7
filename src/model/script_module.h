// TorchScript archives (torch.jit.save): a user's own networks and extractors.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lcsc {

// Whether the file is a TorchScript archive: a zip with a `constants.pkl` or a folder `code` below its top folder,
// which torch.save's archives do not have. False for any other file, and for none.
bool IsScriptArchive(const std::filesystem::path& path);

// Loads the archive on the CPU, in eval mode. Throws InputError (one line) when it is missing, is no such archive, is
// damaged, or was written by a newer PyTorch than ours.
torch::jit::Module LoadScriptModule(const std::filesystem::path& path);

// Calls forward. The graph is interpreted as it was exported, without the profiling optimiser, so that the first call
// gives the same bits as the last. Throws InputError that names `source` and the error within the module.
c10::IValue RunScriptModule(torch::jit::Module& module, std::vector<c10::IValue> arguments,
                            const torch::jit::Kwargs& named_arguments, const std::string& source);

// The names of forward's arguments, without self. Empty when the module has no forward.
std::vector<std::string> ForwardArguments(const torch::jit::Module& module);

}  // namespace lcsc
