#include "app/doctor_check.h"

#include <algorithm>

#include "lcsc/base/table.h"

namespace lcsc {

const char* NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kFail:
      return "fail";
  }
  return "unknown";
}

Verdict WorstOf(const std::vector<Finding>& findings) {
  Verdict worst = Verdict::kOk;
  for (const Finding& finding : findings) worst = std::max(worst, finding.verdict);
  return worst;
}

std::string TextOf(const std::vector<Finding>& findings) {
  Table table({"check", "verdict", "found"});
  std::string advice;
  for (const Finding& finding : findings) {
    table.AddRow({finding.check, NameOf(finding.verdict), finding.found});
    if (!finding.advice.empty()) advice += fmt::format("  {}: {}\n", finding.check, finding.advice);
  }
  return table.ToString() + (advice.empty() ? "\nnothing to do\n" : "\nwhat to do:\n" + advice);
}

nlohmann::json JsonOf(const std::vector<Finding>& findings) {
  nlohmann::json checks = nlohmann::json::array();
  for (const Finding& finding : findings) {
    checks.push_back({{"check", finding.check},
                      {"found", finding.found},
                      {"verdict", NameOf(finding.verdict)},
                      {"advice", finding.advice}});
  }
  return {{"verdict", NameOf(WorstOf(findings))}, {"checks", std::move(checks)}};
}

}  // namespace lcsc
