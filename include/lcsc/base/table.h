// Tables for people: columns padded, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace lcsc {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  // REQUIRES: as many cells as the header has.
  void AddRow(std::vector<std::string> cells);
  // The table with a rule under its header, every line ended by '\n'. A column whose cells all start with a digit or a
  // sign is right-aligned.
  std::string ToString() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace lcsc
