#include "checkpoint.h"

#include <glob.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>

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

std::int64_t StepOf(const SafetensorsFile& file) {
  const auto entry = file.metadata().find(kStepKey);
  const bool in_metadata = entry != file.metadata().end();
  const std::string text = in_metadata ? entry->second : LastDigits(file.path().stem().string());
  const std::optional<std::int64_t> step = ParseInteger(text);
  if (!step) {
    throw InputError(
        "{}: expected the training step as an integer in __metadata__.{} or in the file's name, found \"{}\"",
        file.path().string(), kStepKey, in_metadata ? text : file.path().stem().string());
  }
  return *step;
}

std::string DescribeTensor(const TensorEntry& entry) {
  return fmt::format("{} {}", DataTypeName(entry.type), ShapeText(entry.shape));
}

void CheckFinite(const SafetensorsFile& file, const TensorEntry& entry, const at::Tensor& values) {
  const std::span<const float> elements(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  const auto bad = std::ranges::find_if_not(elements, [](float value) { return std::isfinite(value); });
  if (bad == elements.end()) return;
  throw InputError("{}: tensor \"{}\": expected finite numbers, found {} at element {}; leave this checkpoint out",
                   file.path().string(), entry.name, *bad, bad - elements.begin());
}

}  // namespace

std::vector<Checkpoint> FindCheckpoints(const std::string& glob) {
  std::vector<Checkpoint> checkpoints;
  for (const fs::path& path : MatchingFiles(glob)) {
    SafetensorsFile file(path);
    const std::int64_t step = StepOf(file);
    checkpoints.push_back({step, std::move(file)});
  }
  std::ranges::sort(checkpoints, {}, &Checkpoint::step);
  const auto equal = std::ranges::adjacent_find(checkpoints, {}, &Checkpoint::step);
  if (equal != checkpoints.end()) {
    throw InputError(
        "{} and {}: expected different steps, found {} in both; give one of them another step or leave it out",
        equal->file.path().string(), std::next(equal)->file.path().string(), equal->step);
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

void CheckSameTensors(const ExpectedTensors& expected, const SafetensorsFile& file) {
  const std::vector<TensorEntry>& found = file.entries();
  const auto [wanted, had] = std::ranges::mismatch(expected.entries, found);
  if (wanted == expected.entries.end() && had == found.end()) return;
  const std::string where = file.path().string();
  // Both lists are in ascending order: the smaller name is the one that the other list lacks.
  const bool lacks = had == found.end() || (wanted != expected.entries.end() && wanted->name < had->name);
  const bool has_more = wanted == expected.entries.end() || (had != found.end() && had->name < wanted->name);
  if (lacks) {
    throw InputError("{}: expected the tensor \"{}\" ({}) as in {}, found none; pack checkpoints of one network", where,
                     wanted->name, DescribeTensor(*wanted), expected.source);
  }
  if (has_more) {
    throw InputError("{}: found the tensor \"{}\" ({}), which {} lacks; pack checkpoints of one network", where,
                     had->name, DescribeTensor(*had), expected.source);
  }
  throw InputError("{}: tensor \"{}\": expected {} as in {}, found {}; pack checkpoints of one network", where,
                   had->name, DescribeTensor(*wanted), expected.source, DescribeTensor(*had));
}

at::Tensor ReadParameters(const SafetensorsFile& file, const TensorTable& table, ParameterRange range) {
  const at::Tensor theta = at::empty({range.size()}, at::kFloat);
  for (const TensorEntry& entry : table.entries()) {
    const std::int64_t begin = std::max(range.begin, entry.offset);
    const std::int64_t end = std::min(range.end, entry.offset + entry.num_elements());
    if (begin >= end) continue;
    const at::Tensor values = file.Read(entry.name).flatten().to(at::kFloat);
    CheckFinite(file, entry, values);
    theta.narrow(0, begin - range.begin, end - begin).copy_(values.narrow(0, begin - entry.offset, end - begin));
  }
  return theta;
}

NamedTensors ReadCarriedTensors(const SafetensorsFile& file, const std::vector<TensorEntry>& carried) {
  NamedTensors tensors;
  for (const TensorEntry& entry : carried) {
    const at::Tensor tensor = file.Read(entry.name);
    if (IsFloatingPoint(entry.type)) CheckFinite(file, entry, tensor.flatten().to(at::kFloat));
    tensors[entry.name] = tensor;
  }
  return tensors;
}

}  // namespace lcsc
