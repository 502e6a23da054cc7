#include "lcsc/base/progress.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace lcsc {

std::string FormatDuration(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (seconds < 59.95) return fmt::format("{:.1f}s", seconds);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
}

std::string FormatBytes(double bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

Progress::Progress(Options options)
    : options_(std::move(options)),
      terminal_(::isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      last_draw_(start_),
      done_(options_.done_before) {}

Progress::~Progress() { Finish(); }

void Progress::Update(std::int64_t done, const std::string& detail) {
  done_ = done;
  detail_ = detail;
  const auto now = std::chrono::steady_clock::now();
  const double since_s = std::chrono::duration<double>(now - last_draw_).count();
  if (since_s < (terminal_ ? 0.1 : options_.plain_interval_s)) return;
  last_draw_ = now;
  Draw(/*last=*/false);
}

void Progress::Finish() {
  if (finished_) return;
  finished_ = true;
  Draw(/*last=*/true);
}

std::string Progress::Amount(double units) const {
  return options_.in_bytes ? FormatBytes(units) : fmt::format("{:.1f} {}", units, options_.unit);
}

void Progress::Draw(bool last) {
  const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = elapsed_s > 0 ? static_cast<double>(done_ - options_.done_before) / elapsed_s : 0;
  std::string line = options_.title;
  if (options_.total > 0) {
    constexpr int kWidth = 24;
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(options_.total));
    const auto filled = static_cast<std::size_t>(share * kWidth);
    if (terminal_) line += fmt::format(" [{}{}]", std::string(filled, '#'), std::string(kWidth - filled, '.'));
    const std::string count =
        options_.in_bytes ? Amount(static_cast<double>(done_)) + "/" + Amount(static_cast<double>(options_.total))
                          : fmt::format("{}/{} {}", done_, options_.total, options_.unit);
    line += fmt::format(" {:3.0f}%  {}", 100 * share, count);
  } else {
    line += fmt::format("  {} {}", done_, options_.unit);
  }
  line += fmt::format("  {}/s", Amount(rate));
  if (last) {
    line += fmt::format("  in {}", FormatDuration(elapsed_s));
  } else if (options_.total > 0 && rate > 0) {
    line += fmt::format("  ETA {}", FormatDuration(static_cast<double>(options_.total - done_) / rate));
  }
  if (!detail_.empty()) line += "  " + detail_;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace lcsc
