// Well-formed HDF5 files of any content, for the readers behind libhdf5: bytes are a list of edits, which are applied
// through the library to a sound file.
//   An edit is its Hdf5Edit (one byte) and what stands beside it below:
//   object   one byte, the place in the list of all objects by path, modulo its length; 255: a text, its path
//   text     one byte of length, then its bytes
//   type     one byte, modulo 16, as listed in hdf5_edits.cc; for fixed text and opaque two bytes of size
//   shape    one byte: 255 none, else the number of dimensions modulo 6; each in two bytes, from 0x8000 on a power of 2
//   layout   one byte, modulo 5: contiguous, compact, chunked, chunked and compressed, in another file
// Numbers are little-endian; behind the end of the bytes stand zeros.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lcsc {

enum class Hdf5Edit : std::uint8_t {
  kDelete,           // object
  kMove,             // object, object (where to)
  kPut,              // object, type, shape, layout, text (repeated: the values): a dataset in its place
  kOverwrite,        // object, four bytes of offset, text
  kReshape,          // object, shape: the same values, repeated
  kRetype,           // object, type: the same bytes
  kPutAttribute,     // object, text (name), type, shape, text (repeated: the value)
  kDeleteAttribute,  // object, text
  kLink,             // object, object (the new name), one byte modulo 3: hard, soft, to another file
  kMakeGroup,        // object
  kNumEdits,
};

// The bytes of the HDF5 file `image` after the edits. Edits that the library refuses, and more than 64, are left out.
std::string EditHdf5(const std::string& image, std::string_view edits);

// Appends to `edits` one that makes a root attribute this text.
void AppendTextAttribute(std::string& edits, std::string_view name, std::string_view value);

}  // namespace lcsc
