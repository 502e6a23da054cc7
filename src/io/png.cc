#include "lcsc/io/png.h"

#include <png.h>

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

// Deflate expands by at most 1032, a palette of 1-bit indices by 24: no honest file claims more than both together.
constexpr std::uint64_t kMaxPngExpansion = 1032 * 24;
constexpr std::uint64_t kHeaderSlackBytes = 4096;
constexpr png_uint_32 kMaxSide = 1 << 16;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

void KeepMessage(png_structp png, png_const_charp message) {
  static_cast<std::string*>(png_get_error_ptr(png))->assign(message);
  png_longjmp(png, 1);
}

void IgnoreWarning(png_structp, png_const_charp) {}

// libpng reports errors by longjmp, which must not skip a destructor: each method that calls it keeps no object of its
// own, and returns false once error() says why.
class Decoder {
 public:
  explicit Decoder(std::FILE* file)
      : file_(file), png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, &error_, KeepMessage, IgnoreWarning)) {
    LCSC_CHECK(png_ != nullptr);
    info_ = png_create_info_struct(png_);
    LCSC_CHECK(info_ != nullptr);
  }
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  bool ReadHeader() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_init_io(png_, file_);
    png_set_user_limits(png_, kMaxSide, kMaxSide);
    png_read_info(png_, info_);
    if (png_get_bit_depth(png_, info_) == 16) png_set_strip_16(png_);
    if (png_get_color_type(png_, info_) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool ReadPixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  std::int64_t height() const { return png_get_image_height(png_, info_); }
  std::int64_t width() const { return png_get_image_width(png_, info_); }
  std::int64_t channels() const { return png_get_channels(png_, info_); }
  const std::string& error() const { return error_; }

 private:
  std::FILE* file_;
  std::string error_;
  png_structp png_;
  png_infop info_ = nullptr;
};

class Encoder {
 public:
  explicit Encoder(std::FILE* file)
      : file_(file), png_(png_create_write_struct(PNG_LIBPNG_VER_STRING, &error_, KeepMessage, IgnoreWarning)) {
    LCSC_CHECK(png_ != nullptr);
    info_ = png_create_info_struct(png_);
    LCSC_CHECK(info_ != nullptr);
  }
  ~Encoder() { png_destroy_write_struct(&png_, &info_); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  // hwc: uint8 [h, w, c], contiguous.
  bool Write(const at::Tensor& hwc, png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_init_io(png_, file_);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(hwc.size(1)), static_cast<png_uint_32>(hwc.size(0)), 8,
                 hwc.size(2) == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    png_write_image(png_, rows);
    png_write_end(png_, info_);
    return true;
  }

  const std::string& error() const { return error_; }

 private:
  std::FILE* file_;
  std::string error_;
  png_structp png_;
  png_infop info_ = nullptr;
};

std::vector<png_bytep> RowsOf(const at::Tensor& hwc) {
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < hwc.size(0); ++y) rows.push_back(hwc[y].data_ptr<std::uint8_t>());
  return rows;
}

void CheckWritable(const at::Tensor& image) {
  LCSC_CHECK(image.dim() == 3 && image.scalar_type() == at::kByte && (image.size(0) == 1 || image.size(0) == 3));
}

// Returns what went wrong, "" when nothing did.
std::string Encode(const at::Tensor& image, std::FILE* file) {
  const at::Tensor hwc = image.cpu().permute({1, 2, 0}).contiguous();
  std::vector<png_bytep> rows = RowsOf(hwc);
  Encoder encoder(file);
  return encoder.Write(hwc, rows.data()) ? "" : encoder.error();
}

[[noreturn]] void RefusePng(const fs::path& path, const std::string& reason) {
  throw InputError("{}: not a sound PNG image: {}; copy or make it again", path.string(), reason);
}

}  // namespace

at::Tensor ReadPng(const fs::path& path) {
  const FileHandle file(std::fopen(path.c_str(), "rb"));
  if (!file) throw InputError("cannot read {}: {}; check the path", path.string(), std::strerror(errno));
  Decoder decoder(file.get());
  if (!decoder.ReadHeader()) RefusePng(path, decoder.error());
  const std::int64_t height = decoder.height(), width = decoder.width(), channels = decoder.channels();
  const auto pixel_bytes = static_cast<std::uint64_t>(height * width * channels);
  if (pixel_bytes > kMaxPngExpansion * fs::file_size(path) + kHeaderSlackBytes) {
    RefusePng(path, fmt::format("{} x {} pixels cannot be in {} bytes", width, height, fs::file_size(path)));
  }
  const at::Tensor hwc = at::empty({height, width, channels}, at::kByte);
  std::vector<png_bytep> rows = RowsOf(hwc);
  if (!decoder.ReadPixels(rows.data())) RefusePng(path, decoder.error());
  return hwc.permute({2, 0, 1}).contiguous();
}

void WritePng(const fs::path& path, const at::Tensor& image) {
  CheckWritable(image);
  PublishFile(path, [&](const fs::path& temporary) {
    const auto fail = [&](const std::string& reason) {
      throw IoError("cannot write {}: {}; free some space or choose another folder", path.string(), reason);
    };
    FileHandle file(std::fopen(temporary.c_str(), "wb"));
    if (!file) fail(std::strerror(errno));
    if (const std::string error = Encode(image, file.get()); !error.empty()) fail(error);
    if (std::fflush(file.get()) != 0) fail(std::strerror(errno));
  });
}

std::string EncodePng(const at::Tensor& image) {
  CheckWritable(image);
  char* bytes = nullptr;
  std::size_t size = 0;
  FileHandle memory(::open_memstream(&bytes, &size));
  if (!memory) throw IoError("cannot encode an image: {}", std::strerror(errno));
  const std::string error = Encode(image, memory.get());
  memory.reset();  // from here on, bytes and size hold all
  const std::unique_ptr<char, decltype(&std::free)> owner(bytes, &std::free);
  if (!error.empty()) throw IoError("cannot encode an image: {}", error);
  return {bytes, size};
}

at::Tensor ImageGrid(const at::Tensor& images, const GridOptions& options) {
  LCSC_CHECK(images.dim() == 4 && images.scalar_type() == at::kByte && images.size(0) >= 1);
  LCSC_CHECK(options.columns >= 1 && options.scale >= 1 && options.padding >= 0);
  constexpr int kWhite = 255;
  const at::Tensor scaled = images.repeat_interleave(options.scale, 2).repeat_interleave(options.scale, 3);
  const std::int64_t count = scaled.size(0), height = scaled.size(2), width = scaled.size(3);
  const std::int64_t columns = std::min<std::int64_t>(options.columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  const std::int64_t row_step = height + options.padding, column_step = width + options.padding;
  const at::Tensor grid = at::full(
      {scaled.size(1), rows * row_step + options.padding, columns * column_step + options.padding}, kWhite, at::kByte);
  for (std::int64_t i = 0; i < count; ++i) {
    grid.narrow(1, options.padding + i / columns * row_step, height)
        .narrow(2, options.padding + i % columns * column_step, width)
        .copy_(scaled[i]);
  }
  return grid;
}

}  // namespace lcsc
