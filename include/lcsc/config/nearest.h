// "Did you mean ...?"
#pragma once

#include <string>
#include <vector>

namespace lcsc {

// The known name with the smallest edit distance to `name`, or "" when none is near (more than a third of the letters
// differ).
std::string NearestName(const std::string& name, const std::vector<std::string>& known);

// ", did you mean 'X'?" or "".
std::string Suggestion(const std::string& name, const std::vector<std::string>& known);

}  // namespace lcsc
