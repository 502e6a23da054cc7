// Features and logits recorded with the values that pytorch-fid and torch-fidelity give for them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "lcsc/io/safetensors.h"

namespace lcsc {

class RecordedFeatures : public testing::Test {
 protected:
  const SafetensorsFile file_{std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data/metrics.io.safetensors"};
  const at::Tensor a_ = file_.Read("A"), b_ = file_.Read("B");  // generated, reference

  double Recorded(const std::string& name) const { return std::stod(file_.metadata().at(name)); }

  // Prints the relative error and compares it with what the project promises for metrics.
  void ExpectRecorded(const std::string& name, double value, double tolerance = 1e-6) const {
    const double error = std::abs(value / Recorded(name) - 1);
    std::printf("%s: relative error %.2e\n", name.c_str(), error);
    EXPECT_LT(error, tolerance) << name << ": recorded " << Recorded(name) << ", found " << value;
  }
};

}  // namespace lcsc
