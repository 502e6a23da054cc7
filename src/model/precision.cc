#include "lcsc/model/precision.h"

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"

namespace lcsc {

Precision PrecisionOf(const std::string& name) {
  if (name == "float32") return Precision::kFloat32;
  if (name == "bf16") return Precision::kBFloat16;
  if (name == "f16") return Precision::kFloat16;
  throw ConfigError("precision: expected float32, bf16 or f16, found \"{}\"{}", name,
                    Suggestion(name, {"float32", "bf16", "f16"}));
}

at::ScalarType ActivationType(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return at::kFloat;
    case Precision::kBFloat16:
      return at::kBFloat16;
    case Precision::kFloat16:
      return at::kHalf;
  }
  throw InvariantError("a precision without a type");
}

}  // namespace lcsc
