// Declares options once: name, unit, help, default, valid range; reads them from INI files and command lines
// (Boost.Program_options); prints them as help and as Markdown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace lcsc {

// What is said of an option. `section` "" is an option of the command line alone; otherwise the key in an INI file is
// [section] name, on the command line `--set section.name=value`.
struct OptionText {
  std::string section;
  std::string name;  // snake_case; the flag is --with-dashes
  std::string unit;  // "samples", "s", "path"; "" when it has none
  std::string help;
  // True when another value makes scores incomparable, so that a run cannot be resumed with it.
  bool identity = false;
};

template <typename T>
struct Bounds {
  T min = std::numeric_limits<T>::lowest();
  T max = std::numeric_limits<T>::max();
};

class OptionSet {
 public:
  // The target's present value is the default. Every target outlives the set.
  void Add(OptionText text, std::int64_t* target, Bounds<std::int64_t> bounds = {});
  void Add(OptionText text, double* target, Bounds<double> bounds = {});
  void Add(OptionText text, std::string* target);
  // One of `allowed`, in upper or lower case; the target gets the word as it stands there. advice: said to whoever gave
  // another word.
  void AddChoice(OptionText text, std::string* target, std::vector<std::string> allowed,
                 const std::string& advice = "");
  // A list of numbers, separated by commas; may be empty.
  void Add(OptionText text, std::vector<double>* target, Bounds<double> bounds = {});
  // A list of words, separated by commas, or given several times.
  void Add(OptionText text, std::vector<std::string>* target);
  // A switch of the command line, without a value.
  void AddFlag(OptionText text, bool* target);
  // The next option added to section "" may also stand without its name.
  void AddPositional(OptionText text, std::string* target);
  // Options of this section are flags of the command line too (--name), beside --set.
  void ExposeSection(const std::string& section) { exposed_.push_back(section); }

  // Reads the command line; then, for those not given there, `--set`, then the file behind `--config`. Throws
  // ConfigError that names the option, where it stands, what was expected, what was found, and the nearest known name.
  void Parse(const std::vector<std::string>& arguments);
  // Reads an INI file for what was not given before.
  void ReadConfig(const std::filesystem::path& path) { Apply(ReadIni(path)); }

  // Whether a value came from the user and not from the default.
  bool IsSet(const std::string& key) const;
  // Throws ConfigError that tells how to give it when the value is empty.
  void Require(const std::string& key) const;

  struct Resolved {
    std::string key;
    std::string value;
    bool identity;
  };
  // Keys with their present values, those with a section only, in order of declaration.
  std::vector<Resolved> ResolvedValues() const;
  // The same as an INI file that --config reads.
  std::string ToIni() const;

  // For --help: one paragraph per option, command-line options first.
  std::string Help() const;
  // Markdown table rows "| option | default | range | unit | meaning |" of one section.
  std::string MarkdownRows(const std::string& section) const;
  std::vector<std::string> Sections() const;

 private:
  struct Option {
    OptionText text;
    std::string default_value{};
    std::string range{};
    bool is_switch = false;
    bool is_list = false;
    bool is_positional = false;
    bool given = false;
    std::function<void(const std::string& value)> assign{};  // throws ConfigError without the option's name
    std::function<std::string()> print{};

    std::string key() const { return text.section.empty() ? text.name : text.section + "." + text.name; }
  };
  struct Assignment {
    std::string key;
    std::string value;
    std::string where;
  };

  void AddOption(Option option);
  std::string FlagOf(const Option& option) const;
  Option* Find(const std::string& key);
  const Option& FindKnown(const std::string& key) const;
  std::vector<Assignment> ReadCommandLine(const std::vector<std::string>& arguments) const;
  std::vector<Assignment> ReadSet(const std::vector<Assignment>& command_line) const;
  std::vector<Assignment> ReadIni(const std::filesystem::path& path) const;
  void Apply(const std::vector<Assignment>& assignments);

  std::vector<Option> options_;
  std::vector<std::string> exposed_;
};

}  // namespace lcsc
