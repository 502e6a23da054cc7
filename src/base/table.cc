#include "lcsc/base/table.h"

#include <algorithm>
#include <string_view>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

bool LooksNumeric(const std::string& cell) {
  return !cell.empty() && (std::string_view("0123456789+-.").find(cell.front()) != std::string_view::npos);
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  LCSC_CHECK(cells.size() == header_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  const std::size_t columns = header_.size();
  std::vector<std::size_t> widths(columns);
  std::vector<bool> right(columns, !rows_.empty());
  for (std::size_t c = 0; c < columns; ++c) {
    widths[c] = header_[c].size();
    for (const auto& row : rows_) {
      widths[c] = std::max(widths[c], row[c].size());
      if (!LooksNumeric(row[c])) right[c] = false;
    }
  }
  const auto format_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - row[c].size(), ' ');
      line += (c > 0 ? "  " : "") + (right[c] ? padding + row[c] : row[c] + padding);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line + "\n";
  };
  std::string text = format_row(header_);
  std::vector<std::string> rule;
  for (const std::size_t width : widths) rule.emplace_back(width, '-');
  text += format_row(rule);
  for (const auto& row : rows_) text += format_row(row);
  return text;
}

}  // namespace lcsc
