// One HTML page that needs nothing beside it: no script, no style sheet, no image and no font from elsewhere.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lcsc {

// The text as it may stand between tags and in quoted attributes. What is not UTF-8, and control characters but tab and
// line feed, become U+FFFD.
std::string EscapeHtml(std::string_view text);

// RFC 4648, with padding.
std::string Base64(std::string_view bytes);

// The bytes of a PNG file -> "data:image/png;base64,...", for src="...".
std::string PngUri(std::string_view png);

// A table that scrolls inside itself where it is wider than the page. Cells are text, and are escaped; those that start
// with a digit or a sign stand to the right. REQUIRES: as many cells in each row as in the header.
std::string TableHtml(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

// A table of names and what they are, without a header; long words break. Cells are escaped.
std::string FactsHtml(const std::vector<std::pair<std::string, std::string>>& facts);

// "<p>...</p>" of escaped text.
std::string ParagraphHtml(std::string_view text);

struct PageSection {
  std::string id;       // a word: what a link to the section names
  std::string heading;  // text
  std::string body;     // HTML
};

struct Page {
  std::string title;  // text
  std::string lead;   // HTML, under the title
  std::vector<PageSection> sections;
};

// The whole file: light or dark as the reader's system is, readable from 320 pixels on, links to the sections at the
// top. Browsers are told to load nothing but data: images.
std::string PageHtml(const Page& page);

}  // namespace lcsc
