#include "lcsc/report/html.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lcsc/base/error.h"
#include "page_style.h"

namespace lcsc {
namespace {

constexpr const char* kNumberClass = " class=\"number\"";
constexpr const char* kReplacement = "\xef\xbf\xbd";

// The length of the UTF-8 character at the start; 0 when there is none. Surrogates and what is longer than it need be
// are none (RFC 3629).
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool is_overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool is_outside = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return is_overlong || is_outside ? 0 : length;
}

std::string EscapedAscii(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    case '\t':
    case '\n':
      return {c};
    default:
      return c < 0x20 || c == 0x7f ? kReplacement : std::string{c};
  }
}

bool IsNumber(const std::string& cell) {
  return !cell.empty() && (cell[0] == '-' || cell[0] == '+' || (cell[0] >= '0' && cell[0] <= '9'));
}

std::string LinksHtml(const Page& page) {
  std::string links;
  for (const PageSection& section : page.sections) {
    links += fmt::format("<a href=\"#{}\">{}</a>\n", EscapeHtml(section.id), EscapeHtml(section.heading));
  }
  return links;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    if (length == 0) {
      escaped += kReplacement;
    } else {
      escaped += length == 1 ? EscapedAscii(text[0]) : std::string(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t begin = 0; begin < bytes.size(); begin += 3) {
    const std::string_view group = bytes.substr(begin, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) text += i <= group.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

std::string PngUri(std::string_view png) { return "data:image/png;base64," + Base64(png); }

std::string TableHtml(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool is_numeric =
        std::ranges::all_of(rows, [i](const auto& row) { return i < row.size() && IsNumber(row[i]); });
    html += fmt::format("<th{}>{}</th>", is_numeric ? kNumberClass : "", EscapeHtml(header[i]));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    LCSC_CHECK(row.size() == header.size());
    html += "<tr>";
    for (const std::string& cell : row) {
      html += fmt::format("<td{}>{}</td>", IsNumber(cell) ? kNumberClass : "", EscapeHtml(cell));
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string FactsHtml(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html = "<div class=\"scroll\"><table class=\"facts\"><tbody>\n";
  for (const auto& [name, value] : facts) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", EscapeHtml(name), EscapeHtml(value));
  }
  return html + "</tbody></table></div>\n";
}

std::string ParagraphHtml(std::string_view text) { return fmt::format("<p>{}</p>\n", EscapeHtml(text)); }

std::string PageHtml(const Page& page) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{0}</title>\n<style>\n{1}</style>\n</head>\n<body>\n<header>\n<h1>{0}</h1>\n{2}<nav>\n{3}</nav>\n"
      "</header>\n<main>\n",
      EscapeHtml(page.title), kPageStyle, page.lead, LinksHtml(page));
  for (const PageSection& section : page.sections) {
    html += fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", EscapeHtml(section.id),
                        EscapeHtml(section.heading), section.body);
  }
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace lcsc
