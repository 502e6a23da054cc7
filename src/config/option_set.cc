#include "lcsc/config/option_set.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <boost/algorithm/string.hpp>
#include <charconv>
#include <cmath>
#include <set>

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"

namespace lcsc {
namespace {

std::string WithDashes(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

template <typename T>
std::string RangeText(const Bounds<T>& bounds, const char* kind) {
  const bool low = bounds.min != std::numeric_limits<T>::lowest(), high = bounds.max != std::numeric_limits<T>::max();
  if (low && high) return fmt::format("{} in [{}, {}]", kind, bounds.min, bounds.max);
  if (low) return fmt::format("{} >= {}", kind, bounds.min);
  if (high) return fmt::format("{} <= {}", kind, bounds.max);
  return kind;
}

template <typename T>
T ParseNumber(const std::string& value, const Bounds<T>& bounds, const std::string& range) {
  T number{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = error == std::errc{} && end == value.data() + value.size();
  if (!whole || number < bounds.min || number > bounds.max || !std::isfinite(static_cast<double>(number))) {
    throw ConfigError("expected {}, found '{}'", range, value);
  }
  return number;
}

// A '|' would end the cell of a Markdown table.
std::string MarkdownCell(const std::string& text) { return boost::algorithm::replace_all_copy(text, "|", "\\|"); }

std::vector<std::string> SplitCommas(const std::string& value) {
  std::vector<std::string> parts;
  boost::algorithm::split(parts, value, [](char c) { return c == ','; });
  for (std::string& part : parts) boost::algorithm::trim(part);
  std::erase(parts, "");
  return parts;
}

}  // namespace

void OptionSet::AddOption(Option option) {
  LCSC_CHECK(Find(option.key()) == nullptr);
  option.default_value = option.print();
  options_.push_back(std::move(option));
}

void OptionSet::Add(OptionText text, std::int64_t* target, Bounds<std::int64_t> bounds) {
  Option option{.text = std::move(text), .range = RangeText(bounds, "a whole number")};
  option.assign = [=, range = option.range](const std::string& value) { *target = ParseNumber(value, bounds, range); };
  option.print = [=] { return fmt::format("{}", *target); };
  AddOption(std::move(option));
}

void OptionSet::Add(OptionText text, double* target, Bounds<double> bounds) {
  Option option{.text = std::move(text), .range = RangeText(bounds, "a number")};
  option.assign = [=, range = option.range](const std::string& value) { *target = ParseNumber(value, bounds, range); };
  option.print = [=] { return fmt::format("{}", *target); };
  AddOption(std::move(option));
}

void OptionSet::Add(OptionText text, std::string* target) {
  Option option{.text = std::move(text)};
  option.assign = [=](const std::string& value) { *target = value; };
  option.print = [=] { return *target; };
  AddOption(std::move(option));
}

void OptionSet::AddPositional(OptionText text, std::string* target) {
  Add(std::move(text), target);
  options_.back().is_positional = true;
}

void OptionSet::AddChoice(OptionText text, std::string* target, std::vector<std::string> allowed,
                          const std::string& advice) {
  Option option{.text = std::move(text), .range = fmt::format("one of {}", fmt::join(allowed, ", "))};
  option.assign = [=, range = option.range](const std::string& value) {
    const auto word = std::ranges::find_if(
        allowed, [&](const std::string& candidate) { return boost::algorithm::iequals(candidate, value); });
    if (word == allowed.end()) {
      throw ConfigError("expected {}, found '{}'{}{}", range, value, Suggestion(value, allowed),
                        advice.empty() ? "" : "; " + advice);
    }
    *target = *word;
  };
  option.print = [=] { return *target; };
  AddOption(std::move(option));
}

void OptionSet::Add(OptionText text, std::vector<double>* target, Bounds<double> bounds) {
  Option option{.text = std::move(text), .range = RangeText(bounds, "numbers separated by commas, each")};
  option.assign = [=, range = option.range](const std::string& value) {
    std::vector<double> numbers;
    for (const std::string& part : SplitCommas(value)) numbers.push_back(ParseNumber(part, bounds, range));
    *target = std::move(numbers);
  };
  option.print = [=] { return fmt::format("{}", fmt::join(*target, ",")); };
  AddOption(std::move(option));
}

void OptionSet::Add(OptionText text, std::vector<std::string>* target) {
  Option option{.text = std::move(text), .range = "words separated by commas, or the option several times"};
  option.is_list = true;
  option.assign = [=](const std::string& value) {
    for (std::string& part : SplitCommas(value)) target->push_back(std::move(part));
  };
  option.print = [=] { return fmt::format("{}", fmt::join(*target, ",")); };
  AddOption(std::move(option));
}

void OptionSet::AddFlag(OptionText text, bool* target) {
  Option option{.text = std::move(text), .is_switch = true};
  option.assign = [=](const std::string&) { *target = true; };
  option.print = [=] { return *target ? "on" : "off"; };
  AddOption(std::move(option));
}

OptionSet::Option* OptionSet::Find(const std::string& key) {
  for (Option& option : options_) {
    if (option.key() == key) return &option;
  }
  return nullptr;
}

const OptionSet::Option& OptionSet::FindKnown(const std::string& key) const {
  const Option* option = const_cast<OptionSet*>(this)->Find(key);
  LCSC_CHECK(option != nullptr);
  return *option;
}

std::string OptionSet::FlagOf(const Option& option) const {
  if (option.text.section.empty()) return WithDashes(option.text.name);
  const bool exposed = std::find(exposed_.begin(), exposed_.end(), option.text.section) != exposed_.end();
  return exposed ? WithDashes(option.text.name) : "";
}

void OptionSet::Apply(const std::vector<Assignment>& assignments) {
  std::set<std::string> now;
  for (const auto& [key, value, where] : assignments) {
    Option* option = Find(key);
    LCSC_CHECK(option != nullptr);
    if (option->given && !now.contains(key)) continue;  // a stronger source has spoken
    if (now.contains(key) && !option->is_list) throw ConfigError("{} ({}): given twice", key, where);
    try {
      option->assign(value);
    } catch (const ConfigError& error) {
      throw ConfigError("{} ({}): {}", key, where, error.what());
    }
    option->given = true;
    now.insert(key);
  }
}

void OptionSet::Parse(const std::vector<std::string>& arguments) {
  const std::vector<Assignment> command_line = ReadCommandLine(arguments);
  Apply(command_line);
  Apply(ReadSet(command_line));
  for (const Assignment& assignment : command_line) {
    if (assignment.key == "config") Apply(ReadIni(assignment.value));
  }
}

bool OptionSet::IsSet(const std::string& key) const { return FindKnown(key).given; }

void OptionSet::Require(const std::string& key) const {
  const Option& option = FindKnown(key);
  if (!option.print().empty()) return;
  const std::string flag = FlagOf(option);
  throw ConfigError(
      "{}: expected a value ({}), found none; give it {}", key, option.text.help,
      flag.empty() ? fmt::format("in the config file or with --set {}=...", key) : fmt::format("with --{} ...", flag));
}

std::vector<OptionSet::Resolved> OptionSet::ResolvedValues() const {
  std::vector<Resolved> values;
  for (const Option& option : options_) {
    if (!option.text.section.empty()) values.push_back({option.key(), option.print(), option.text.identity});
  }
  return values;
}

std::vector<std::string> OptionSet::Sections() const {
  std::vector<std::string> sections;
  for (const Option& option : options_) {
    if (std::find(sections.begin(), sections.end(), option.text.section) == sections.end()) {
      sections.push_back(option.text.section);
    }
  }
  return sections;
}

std::string OptionSet::ToIni() const {
  std::string ini;
  for (const std::string& section : Sections()) {
    if (section.empty()) continue;
    ini += fmt::format("[{}]\n", section);
    for (const Option& option : options_) {
      if (option.text.section == section) ini += fmt::format("{} = {}\n", option.text.name, option.print());
    }
    ini += "\n";
  }
  return ini;
}

std::string OptionSet::Help() const {
  std::string help;
  for (const std::string& section : Sections()) {
    if (!section.empty()) help += fmt::format("\n[{}]\n", section);
    for (const Option& option : options_) {
      if (option.text.section != section) continue;
      const std::string flag = FlagOf(option);
      std::string head = "  " + (flag.empty() ? "--set " + option.key() + "=" : "--" + flag);
      if (!option.is_switch) head += flag.empty() ? "VALUE" : " VALUE";
      help += head + "\n      " + option.text.help;
      std::vector<std::string> facts;
      if (!option.range.empty()) facts.push_back(option.range);
      if (!option.text.unit.empty()) facts.push_back("unit: " + option.text.unit);
      if (!option.is_switch)
        facts.push_back("default: " + (option.default_value.empty() ? "none" : option.default_value));
      if (!facts.empty()) help += fmt::format(" ({})", fmt::join(facts, "; "));
      help += "\n";
    }
  }
  return help;
}

std::string OptionSet::MarkdownRows(const std::string& section) const {
  std::string rows;
  for (const Option& option : options_) {
    if (option.text.section != section) continue;
    const std::string name = section.empty() ? "--" + FlagOf(option) : option.text.name;
    const std::string value = option.is_switch ? "off" : option.default_value;
    rows += fmt::format("| `{}` | {} | {} | {} | {} |\n", name,
                        value.empty() ? "none" : fmt::format("`{}`", MarkdownCell(value)),
                        option.is_switch ? "a switch" : option.range, option.text.unit, MarkdownCell(option.text.help));
  }
  return rows;
}

}  // namespace lcsc
