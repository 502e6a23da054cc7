// Reads the values of a network JSON and refuses the keys that nobody asked for.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace lcsc {

// What a message shows of a value: a scalar as it is, of anything else its type and size. Does not recurse: a
// stranger's JSON may be nested as deep as its file is long.
std::string Brief(const nlohmann::json& value);

class JsonReader {
 public:
  // subject names the JSON in messages: "network JSON". Throws ConfigError when json is no object.
  JsonReader(const nlohmann::json& json, std::string subject);

  // The value of `key`, or `fallback` when it is absent. Throws ConfigError when it has another type.
  template <typename T>
  T Get(const std::string& key, T fallback) {
    const nlohmann::json* value = Find(key);
    return value ? Convert<T>(key, *value) : fallback;
  }
  // The same for a key that must be there.
  template <typename T>
  T Require(const std::string& key) {
    return Convert<T>(key, *FindRequired(key));
  }
  // A whole number of at least `least` and at most kMostCount.
  std::int64_t GetCount(const std::string& key, std::int64_t fallback, std::int64_t least);
  std::int64_t RequireCount(const std::string& key, std::int64_t least);
  // The same of a list's numbers, of which there are at most kMostEntries.
  std::vector<std::int64_t> GetCounts(const std::string& key, const std::vector<std::int64_t>& fallback,
                                      std::int64_t least);
  // A finite number above 0.
  double GetPositive(const std::string& key, double fallback);
  // A number in [0, 1).
  double GetProbability(const std::string& key, double fallback);
  static constexpr std::int64_t kMostCount = 1 << 20;
  static constexpr std::size_t kMostEntries = 64;

  // Whether the key is there with a value; null counts as absent everywhere.
  bool Holds(const std::string& key) const;
  bool HoldsString(const std::string& key) const;

  // A word out of a list. Throws ConfigError with the nearest one.
  template <typename Enum>
  Enum GetChoice(const std::string& key, const std::vector<std::pair<std::string, Enum>>& choices, Enum fallback) {
    const nlohmann::json* value = Find(key);
    if (!value) return fallback;
    const std::string word = Convert<std::string>(key, *value);
    std::vector<std::string> known;
    for (const auto& [name, choice] : choices) {
      if (name == word) return choice;
      known.push_back(name);
    }
    RefuseWord(key, word, known);
  }
  [[noreturn]] void RefuseWord(const std::string& key, const std::string& word,
                               const std::vector<std::string>& known) const;

  // Throws ConfigError that names the first key no one has asked for, with the nearest known one.
  void RefuseUnknownKeys() const;

 private:
  const nlohmann::json* Find(const std::string& key);
  const nlohmann::json* FindRequired(const std::string& key);
  void CheckCount(const std::string& key, std::int64_t value, std::int64_t least) const;
  [[noreturn]] void RefuseType(const std::string& key, const nlohmann::json& value, const char* expected) const;
  // True for a whole number and for a list of them; the JSON library would cut 1.5 to 1.
  static bool IsWhole(const nlohmann::json& value);

  template <typename T>
  static constexpr const char* TypeName() {
    if constexpr (std::is_same_v<T, std::string>) return "a string";
    if constexpr (std::is_same_v<T, bool>) return "true or false";
    if constexpr (std::is_same_v<T, double>) return "a number";
    if constexpr (std::is_same_v<T, std::int64_t>) return "a whole number";
    if constexpr (std::is_same_v<T, std::vector<double>>) return "a list of numbers";
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return "a list of strings";
    return "a list of whole numbers";
  }

  template <typename T>
  T Convert(const std::string& key, const nlohmann::json& value) const {
    constexpr bool kWhole = std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::vector<std::int64_t>>;
    if (kWhole && !IsWhole(value)) RefuseType(key, value, TypeName<T>());
    try {
      return value.get<T>();
    } catch (const nlohmann::json::exception&) {
      RefuseType(key, value, TypeName<T>());
    }
  }

  const nlohmann::json& json_;
  std::string subject_;
  std::vector<std::string> known_;
};

}  // namespace lcsc
