// Where options come from: the command line, --set and INI files, tokenised by Boost.Program_options.
#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"
#include "lcsc/config/option_set.h"

namespace lcsc {
namespace po = boost::program_options;

std::vector<OptionSet::Assignment> OptionSet::ReadCommandLine(const std::vector<std::string>& arguments) const {
  po::options_description description;
  std::vector<const Option*> positional;
  std::vector<std::string> flags;
  for (const Option& option : options_) {
    const std::string flag = FlagOf(option);
    if (flag.empty()) continue;
    flags.push_back("--" + flag);
    if (option.is_switch) {
      description.add_options()(flag.c_str(), "");
    } else {
      description.add_options()(flag.c_str(), po::value<std::vector<std::string>>()->composing(), "");
    }
    if (option.is_positional) positional.push_back(&option);
  }
  std::vector<Assignment> assignments;
  try {
    const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const auto parsed = po::command_line_parser(arguments).options(description).style(style).allow_unregistered().run();
    for (const auto& token : parsed.options) {
      if (token.unregistered) {
        const std::string key = token.string_key.substr(0, token.string_key.find('='));
        const std::string name = key.starts_with('-') ? key : "--" + key;
        throw ConfigError("unknown option '{}'{}; see --help", name, Suggestion(name, flags));
      }
      if (token.position_key >= 0) {
        const auto place = static_cast<std::size_t>(token.position_key);
        if (place >= positional.size()) throw ConfigError("unexpected argument '{}'; see --help", token.value.front());
        assignments.push_back({positional[place]->key(), token.value.front(), "--" + FlagOf(*positional[place])});
        continue;
      }
      const auto option = std::find_if(options_.begin(), options_.end(),
                                       [&](const Option& known) { return FlagOf(known) == token.string_key; });
      LCSC_CHECK(option != options_.end());
      const std::string value = token.value.empty() ? "" : token.value.front();
      assignments.push_back({option->key(), value, "--" + token.string_key});
    }
  } catch (const po::error& error) {
    throw ConfigError("command line: {}; see --help", error.what());
  }
  return assignments;
}

std::vector<OptionSet::Assignment> OptionSet::ReadSet(const std::vector<Assignment>& command_line) const {
  std::vector<std::string> keys;
  for (const Option& option : options_) {
    if (!option.text.section.empty()) keys.push_back(option.key());
  }
  std::vector<Assignment> assignments;
  for (const Assignment& given : command_line) {
    if (given.key != "set") continue;
    const std::size_t equals = given.value.find('=');
    const std::string key = given.value.substr(0, equals);
    if (equals == std::string::npos) throw ConfigError("--set: expected section.key=value, found '{}'", given.value);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      throw ConfigError("--set: unknown option '{}'{}; docs/options.md lists them all", key, Suggestion(key, keys));
    }
    assignments.push_back({key, given.value.substr(equals + 1), "--set"});
  }
  return assignments;
}

std::vector<OptionSet::Assignment> OptionSet::ReadIni(const std::filesystem::path& path) const {
  std::ifstream file(path);
  if (!file) throw ConfigError("--config: cannot read {}; check that the file exists and is readable", path.string());
  po::options_description description;
  std::vector<std::string> keys;
  for (const Option& option : options_) {
    if (option.text.section.empty()) continue;
    keys.push_back(option.key());
    description.add_options()(keys.back().c_str(), po::value<std::string>(), "");
  }
  std::vector<Assignment> assignments;
  try {
    for (const auto& token : po::parse_config_file(file, description, /*allow_unregistered=*/true).options) {
      if (std::find(keys.begin(), keys.end(), token.string_key) == keys.end()) {
        throw ConfigError("{}: unknown key '{}'{}; docs/options.md lists them all", path.string(), token.string_key,
                          Suggestion(token.string_key, keys));
      }
      assignments.push_back({token.string_key, token.value.empty() ? "" : token.value.front(), path.string()});
    }
  } catch (const po::error& error) {
    throw ConfigError("{}: {}", path.string(), error.what());
  }
  return assignments;
}

}  // namespace lcsc
