// What a CBOR text (RFC 8949) must be before a reader that trusts lengths and calls itself at each level may see it.
#pragma once

#include <string_view>

namespace lcsc {

// Whether `cbor` is exactly one item of the kinds that nlohmann::json::to_cbor writes: integers, floats, booleans,
// null, and byte strings, texts, arrays and maps of definite length that end within `cbor`, nested no deeper than
// `most_levels` (an array of numbers is one level). Maps have texts for keys. No tags, no indefinite lengths. Throws
// nothing.  Threads: any.
bool IsBoundedCbor(std::string_view cbor, int most_levels);

}  // namespace lcsc
