#include "lcsc/base/error.h"

namespace lcsc {

std::string FirstLine(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

void FailInvariant(const char* expression, const char* file, int line) {
  throw InvariantError(
      fmt::format("broken invariant {} at {}:{}; please report this as a bug", expression, file, line));
}

}  // namespace lcsc
