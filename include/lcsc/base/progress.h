// Progress of long work: a bar with rate and ETA on a terminal, a plain line every few seconds in a log file.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lcsc {

// "1h02m", "3m07s" or "4.2s".
std::string FormatDuration(double seconds);
// "1.5 GiB", "12 KiB", "17 B".
std::string FormatBytes(double bytes);

class Progress {
 public:
  // total: the number of units of work, 0 when unknown. unit: "steps", "files". Writes to stderr.
  // done_before: units finished by an earlier run; they count in the bar, not in the rate.
  struct Options {
    std::string title;
    std::string unit;
    std::int64_t total = 0;
    std::int64_t done_before = 0;
    bool in_bytes = false;         // done and total count bytes; no unit
    double plain_interval_s = 10;  // between two lines when stderr is no terminal
  };
  explicit Progress(Options options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows `done` of total units, and `detail` behind them ("loss 0.123"). Cheap: draws at most 10 times a second.
  void Update(std::int64_t done, const std::string& detail = "");
  // Draws the last state and ends the line. Also done by the destructor.
  void Finish();

 private:
  void Draw(bool last);
  std::string Amount(double units) const;

  Options options_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
  std::int64_t done_ = 0;
  std::string detail_;
  bool finished_ = false;
};

}  // namespace lcsc
