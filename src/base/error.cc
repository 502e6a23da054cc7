#include "lcsc/base/error.h"

namespace lcsc {

void FailInvariant(const char* expression, const char* file, int line) {
  throw InvariantError(
      fmt::format("broken invariant {} at {}:{}; please report this as a bug", expression, file, line));
}

}  // namespace lcsc
