#include "lcsc/report/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace lcsc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kReplacement = "\xef\xbf\xbd";

TEST(HtmlTest, TextCannotBecomeMarkup) {
  EXPECT_EQ(EscapeHtml("<script>alert('a & \"b\"')</script>"),
            "&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;");
  EXPECT_EQ(EscapeHtml(""), "");
  EXPECT_EQ(EscapeHtml("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(EscapeHtml(std::string("a\0b\x1b\x7f", 5)),
            std::string("a") + kReplacement + "b" + kReplacement + kReplacement);
}

TEST(HtmlTest, Utf8PassesAndWhatIsNoneIsReplaced) {
  const std::string sound =
      "Fr\xc3\xa9"
      "chet \xe2\x82\xac \xf0\x9f\x98\x80";
  EXPECT_EQ(EscapeHtml(sound), sound);
  EXPECT_EQ(EscapeHtml("\xe9<"), std::string(kReplacement) + "&lt;");   // Latin-1
  EXPECT_EQ(EscapeHtml("\xc3"), kReplacement);                          // cut off
  EXPECT_THAT(EscapeHtml("\xc0\xbcscript"), Not(HasSubstr("\xc0")));    // '<', longer than it need be
  EXPECT_THAT(EscapeHtml("\xe0\x80\xbc"), Not(HasSubstr("\xe0")));      // likewise
  EXPECT_THAT(EscapeHtml("\xed\xa0\x80"), Not(HasSubstr("\xed")));      // a surrogate
  EXPECT_THAT(EscapeHtml("\xf5\x80\x80\x80"), Not(HasSubstr("\xf5")));  // above U+10FFFF
}

TEST(HtmlTest, Base64IsThatOfTheStandard) {  // RFC 4648, section 10
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foob"), "Zm9vYg==");
  EXPECT_EQ(Base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xff\xfe\xfd"), "//79");
}

TEST(HtmlTest, CellsAreEscapedAndNumbersStandToTheRight) {
  const std::string table = TableHtml({"weights", "FID <search>"}, {{"best & only", "7.25"}, {"last", "-1"}});
  EXPECT_THAT(table, HasSubstr("<th>weights</th><th class=\"number\">FID &lt;search&gt;</th>"));
  EXPECT_THAT(table, HasSubstr("<td>best &amp; only</td><td class=\"number\">7.25</td>"));
  EXPECT_THAT(table, HasSubstr("<td>last</td><td class=\"number\">-1</td>"));
}

TEST(HtmlTest, FactsAreEscaped) {
  EXPECT_THAT(FactsHtml({{"a<b", "1 & 2"}}), HasSubstr("<th scope=\"row\">a&lt;b</th><td>1 &amp; 2</td>"));
}

TEST(HtmlTest, APageIsCompleteLinksItsSectionsAndAsksForNothing) {
  const std::string page =
      PageHtml({"run <1>", ParagraphHtml("a & b"), {{"one", "First", "<p>x</p>"}, {"two", "Second & last", ""}}});
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  EXPECT_THAT(page, HasSubstr("<title>run &lt;1&gt;</title>"));
  EXPECT_THAT(page, HasSubstr("name=\"viewport\""));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, HasSubstr("<a href=\"#two\">Second &amp; last</a>"));
  EXPECT_THAT(page, HasSubstr("<section id=\"two\">\n<h2>Second &amp; last</h2>"));
  EXPECT_FALSE(std::regex_search(page, std::regex(R"(https?:|<script|@import|url\()")));
}

}  // namespace
}  // namespace lcsc
