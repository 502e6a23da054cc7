// libzip's handles that close themselves.
#pragma once

#include <zip.h>

#include <memory>
#include <string>

namespace lcsc {

struct ZipDeleter {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using ZipArchive = std::unique_ptr<zip_t, ZipDeleter>;
using ZipMemberHandle = std::unique_ptr<zip_file_t, ZipDeleter>;

inline std::string ZipErrorText(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

}  // namespace lcsc
