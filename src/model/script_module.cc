#include "script_module.h"

#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <zip.h>

#include <memory>
#include <sstream>

#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

// torch.jit.save compresses code, never tensors; more than this is no code.
constexpr zip_uint64_t kMaxCompressedContent = zip_uint64_t{1} << 28;

struct ZipDiscard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using ZipArchive = std::unique_ptr<zip_t, ZipDiscard>;

ZipArchive OpenZip(const fs::path& path) {
  if (!fs::is_regular_file(path)) return nullptr;
  return ZipArchive(zip_open(path.c_str(), ZIP_RDONLY, nullptr));
}

bool IsScriptMember(const std::string& name) {
  const std::size_t top = name.find('/');
  if (top == std::string::npos) return false;
  const std::string below = name.substr(top + 1);
  return below == "constants.pkl" || below.starts_with("code/");
}

// LibTorch's reader asks for as much memory as a compressed member claims to need.
void CheckCompressedContent(const fs::path& path) {
  const ZipArchive archive = OpenZip(path);
  zip_uint64_t total = 0;
  for (zip_int64_t i = 0; archive && i < zip_get_num_entries(archive.get(), 0); ++i) {
    zip_stat_t status;
    if (zip_stat_index(archive.get(), static_cast<zip_uint64_t>(i), 0, &status) != 0) continue;
    if (status.comp_method == ZIP_CM_STORE) continue;
    if (status.size > kMaxCompressedContent - total) {
      throw InputError("{}: expected at most {} bytes of compressed code in a TorchScript archive, found {} in {}",
                       path.string(), kMaxCompressedContent, status.size, status.name);
    }
    total += status.size;
  }
}

// The line that says what went wrong: behind the interpreter's traceback, or the first.
std::string Reason(const std::exception& error) {
  std::istringstream lines(error.what());
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    const std::string kind = line.substr(0, colon);
    if (colon != std::string::npos && kind.find(' ') == std::string::npos &&
        (kind.ends_with("Error") || kind.ends_with("Exception"))) {
      return line;
    }
  }
  return FirstLine(error);
}

}  // namespace

bool IsScriptArchive(const fs::path& path) {
  const ZipArchive archive = OpenZip(path);
  if (!archive) return false;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    const char* const name = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    if (name != nullptr && IsScriptMember(name)) return true;
  }
  return false;
}

torch::jit::Module LoadScriptModule(const fs::path& path) {
  if (!fs::is_regular_file(path)) throw InputError("cannot read {}: no such file; check the path", path.string());
  if (!IsScriptArchive(path)) {
    throw InputError(
        "{}: expected a TorchScript archive (a zip with code, as torch.jit.save writes it), found another kind of file "
        "or a damaged one; export it again",
        path.string());
  }
  CheckCompressedContent(path);
  try {
    torch::jit::Module module = torch::jit::load(path.string(), at::kCPU);
    module.eval();
    return module;
  } catch (const std::exception& error) {
    throw InputError(
        "{}: the TorchScript archive cannot be loaded: {}; it is damaged, or a newer PyTorch than ours "
        "wrote it",
        path.string(), Reason(error));
  }
}

c10::IValue RunScriptModule(torch::jit::Module& module, std::vector<c10::IValue> arguments,
                            const torch::jit::Kwargs& named_arguments, const std::string& source) {
  const torch::jit::GraphOptimizerEnabledGuard as_exported(false);
  try {
    return module.get_method("forward")(std::move(arguments), named_arguments);
  } catch (const std::exception& error) {
    throw InputError("{}: the TorchScript module's forward failed: {}", source, Reason(error));
  }
}

std::vector<std::string> ForwardArguments(const torch::jit::Module& module) {
  const auto forward = module.find_method("forward");
  if (!forward) return {};
  std::vector<std::string> names;
  for (const c10::Argument& argument : forward->function().getSchema().arguments()) names.push_back(argument.name());
  names.erase(names.begin());
  return names;
}

}  // namespace lcsc
