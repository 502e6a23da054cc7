#include "lcsc/model/json_reader.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"

namespace lcsc {

std::string Brief(const nlohmann::json& value) {
  if (!value.is_structured()) return value.dump();
  return fmt::format("an {} of {}", value.type_name(), value.size());
}

JsonReader::JsonReader(const nlohmann::json& json, std::string subject) : json_(json), subject_(std::move(subject)) {
  if (!json.is_object()) throw ConfigError("{}: expected a JSON object, found {}", subject_, json.type_name());
}

std::int64_t JsonReader::GetCount(const std::string& key, std::int64_t fallback, std::int64_t least) {
  const auto value = Get<std::int64_t>(key, fallback);
  CheckCount(key, value, least);
  return value;
}

void JsonReader::CheckCount(const std::string& key, std::int64_t value, std::int64_t least) const {
  if (value < least) throw ConfigError("{}: \"{}\" is {}; expected at least {}", subject_, key, value, least);
  if (value > kMostCount) throw ConfigError("{}: \"{}\" is {}; expected at most {}", subject_, key, value, kMostCount);
}

std::vector<std::int64_t> JsonReader::GetCounts(const std::string& key, const std::vector<std::int64_t>& fallback,
                                                std::int64_t least) {
  const auto values = Get(key, fallback);
  if (values.size() > kMostEntries) {
    throw ConfigError("{}: \"{}\" has {} entries; expected at most {}", subject_, key, values.size(), kMostEntries);
  }
  for (const std::int64_t value : values) CheckCount(key, value, least);
  return values;
}

double JsonReader::GetPositive(const std::string& key, double fallback) {
  const auto value = Get(key, fallback);
  if (value > 0 && std::isfinite(value)) return value;
  throw ConfigError("{}: \"{}\" is {}; expected a number above 0", subject_, key, value);
}

double JsonReader::GetProbability(const std::string& key, double fallback) {
  const auto value = Get(key, fallback);
  if (value >= 0 && value < 1) return value;
  throw ConfigError("{}: \"{}\" is {}; expected a number in [0, 1)", subject_, key, value);
}

bool JsonReader::Holds(const std::string& key) const {
  const auto found = json_.find(key);
  return found != json_.end() && !found->is_null();
}

bool JsonReader::HoldsString(const std::string& key) const { return Holds(key) && json_.find(key)->is_string(); }

std::int64_t JsonReader::RequireCount(const std::string& key, std::int64_t least) {
  FindRequired(key);
  return GetCount(key, least, least);
}

const nlohmann::json* JsonReader::Find(const std::string& key) {
  known_.push_back(key);
  return Holds(key) ? &*json_.find(key) : nullptr;
}

const nlohmann::json* JsonReader::FindRequired(const std::string& key) {
  const nlohmann::json* value = Find(key);
  if (!value) throw ConfigError("{}: the key \"{}\" is missing; add it", subject_, key);
  return value;
}

void JsonReader::RefuseWord(const std::string& key, const std::string& word,
                            const std::vector<std::string>& known) const {
  throw ConfigError("{}: \"{}\" is \"{}\"; expected one of {}{}", subject_, key, word, fmt::join(known, ", "),
                    Suggestion(word, known));
}

void JsonReader::RefuseType(const std::string& key, const nlohmann::json& value, const char* expected) const {
  throw ConfigError("{}: \"{}\" is {}; expected {}", subject_, key, Brief(value), expected);
}

bool JsonReader::IsWhole(const nlohmann::json& value) {
  if (value.is_array()) return std::ranges::all_of(value, [](const auto& item) { return item.is_number_integer(); });
  return value.is_number_integer();
}

void JsonReader::RefuseUnknownKeys() const {
  for (const auto& [key, value] : json_.items()) {
    if (std::ranges::find(known_, key) == known_.end()) {
      throw ConfigError("{}: unknown key \"{}\"{}", subject_, key, Suggestion(key, known_));
    }
  }
}

}  // namespace lcsc
