#include "checkpoint.h"

#include <glob.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <regex>

#include "finite.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kStepKey = "step";

std::vector<fs::path> MatchingFiles(const std::string& pattern) {
  glob_t matches = {};
  const int result = ::glob(pattern.c_str(), GLOB_TILDE, nullptr, &matches);
  std::vector<fs::path> paths(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  ::globfree(&matches);
  if (result != 0) {
    throw InputError("checkpoints: no file matches \"{}\"; check the folder, and quote the pattern in a shell",
                     pattern);
  }
  return paths;
}

std::optional<std::int64_t> ParseInteger(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "network-snapshot-000200" -> "000200"
std::string LastDigits(const std::string& stem) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto last = std::find_if(stem.rbegin(), stem.rend(), is_digit);
  const auto first = std::find_if_not(last, stem.rend(), is_digit);
  return {first.base(), last.base()};
}

std::int64_t StepOf(const TensorFile& file) {
  const auto entry = file.metadata().find(kStepKey);
  const bool in_metadata = entry != file.metadata().end();
  std::string text = in_metadata ? entry->second : LastDigits(file.path().stem().string());
  // peft and diffusers: checkpoint-500/adapter_model.safetensors
  const std::string folder = file.path().parent_path().filename().string();
  if (text.empty() && !in_metadata && folder.ends_with(LastDigits(folder))) text = LastDigits(folder);
  const std::optional<std::int64_t> step = ParseInteger(text);
  if (!step) {
    throw InputError(
        "{}: expected the training step as an integer in __metadata__.{} or in the file's or the folder's name, found "
        "\"{}\"",
        file.path().string(), kStepKey, in_metadata ? text : file.path().stem().string());
  }
  return *step;
}

std::string TensorText(const TensorEntry& entry) {
  return fmt::format("{} {}", DataTypeName(entry.type), ShapeText(entry.shape));
}

// values: float32, the tensor's elements from `first_element` on.
void CheckFinite(const TensorFile& file, const TensorEntry& entry, const at::Tensor& values,
                 std::int64_t first_element = 0) {
  const std::span<const float> elements(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  const auto bad = FirstNotBelow(elements, std::numeric_limits<float>::infinity());
  if (!bad) return;
  throw InputError("{}: tensor \"{}\": expected finite numbers, found {} at element {}; leave this checkpoint out",
                   file.path().string(), entry.name, elements[*bad], first_element + static_cast<std::int64_t>(*bad));
}

}  // namespace

std::string SourceDigest(const Checkpoint& checkpoint) {
  const std::string file = DigestOfFile(checkpoint.file->path());
  return checkpoint.key.empty() ? file : fmt::format("{} {}", file, checkpoint.key);
}

std::vector<Checkpoint> FindCheckpoints(const std::string& glob, const TensorFileOptions& options) {
  std::vector<Checkpoint> checkpoints;
  for (const fs::path& path : MatchingFiles(glob)) {
    auto file = OpenTensorFile(path, options);
    file->Close();
    const std::int64_t step = StepOf(*file);
    checkpoints.push_back({step, std::move(file), options.key});
  }
  std::ranges::sort(checkpoints, {}, &Checkpoint::step);
  const auto equal = std::ranges::adjacent_find(checkpoints, {}, &Checkpoint::step);
  if (equal != checkpoints.end()) {
    throw InputError(
        "{} and {}: expected different steps, found {} in both; give one of them another step or leave it out",
        equal->file->path().string(), std::next(equal)->file->path().string(), equal->step);
  }
  return checkpoints;
}

TensorSplit SplitTensors(const std::vector<TensorEntry>& entries, const std::string& buffers_regex) {
  std::regex is_buffer;
  try {
    is_buffer = std::regex(buffers_regex);
  } catch (const std::regex_error& error) {
    throw ConfigError("buffers: expected a regular expression, found \"{}\" ({})", buffers_regex, error.what());
  }
  std::vector<TensorEntry> merged, carried;
  for (const TensorEntry& entry : entries) {
    const bool is_merged = IsFloatingPoint(entry.type) && !std::regex_search(entry.name, is_buffer);
    (is_merged ? merged : carried).push_back(entry);
  }
  return {TensorTable(std::move(merged)), std::move(carried)};
}

void CheckSameTensors(const ExpectedTensors& expected, const TensorFile& file) {
  const std::vector<TensorEntry>& found = file.entries();
  const auto [wanted, had] = std::ranges::mismatch(expected.entries, found);
  if (wanted == expected.entries.end() && had == found.end()) return;
  const std::string where = file.path().string();
  // Both lists are in ascending order: the smaller name is the one that the other list lacks.
  const bool lacks = had == found.end() || (wanted != expected.entries.end() && wanted->name < had->name);
  const bool has_more = wanted == expected.entries.end() || (had != found.end() && had->name < wanted->name);
  if (lacks) {
    throw InputError("{}: expected the tensor \"{}\" ({}) as in {}, found none; pack checkpoints of one network", where,
                     wanted->name, TensorText(*wanted), expected.source);
  }
  if (has_more) {
    throw InputError("{}: found the tensor \"{}\" ({}), which {} lacks; pack checkpoints of one network", where,
                     had->name, TensorText(*had), expected.source);
  }
  throw InputError("{}: tensor \"{}\": expected {} as in {}, found {}; pack checkpoints of one network", where,
                   had->name, TensorText(*wanted), expected.source, TensorText(*had));
}

at::Tensor ReadParameters(const TensorFile& file, const TensorTable& table, ParameterRange range) {
  const at::Tensor theta = at::empty({range.size()}, at::kFloat);
  for (const TensorEntry& entry : table.entries()) {
    const std::int64_t begin = std::max(range.begin, entry.offset);
    const std::int64_t end = std::min(range.end, entry.offset + entry.num_elements());
    if (begin >= end) continue;
    const ElementRange part{begin - entry.offset, end - entry.offset};
    const at::Tensor values = theta.narrow(0, begin - range.begin, part.size());
    values.copy_(file.ReadElements(entry.name, part));
    CheckFinite(file, entry, values, part.begin);
  }
  return theta;
}

NamedTensors ReadCarriedTensors(const TensorFile& file, const std::vector<TensorEntry>& carried) {
  NamedTensors tensors;
  for (const TensorEntry& entry : carried) {
    const at::Tensor tensor = file.Read(entry.name);
    if (IsFloatingPoint(entry.type)) CheckFinite(file, entry, tensor.flatten().to(at::kFloat));
    tensors[entry.name] = tensor;
  }
  return tensors;
}

}  // namespace lcsc
