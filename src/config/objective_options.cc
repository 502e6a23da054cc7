#include "lcsc/config/evaluation_options.h"

namespace lcsc {

void AddObjectiveOptions(OptionSet& set, EvaluationOptions& options) {
  const auto text = [](const char* name, const char* unit, const char* help, bool identity) {
    return OptionText{"evaluation", name, unit, help, identity};
  };
  set.Add(text("conditioning", "path",
               "file of per-sample tensors [m, ...] (.safetensors): sample j is given row j mod m of each as the input "
               "of its name; a tensor `labels` (int64 [m] or one-hot) replaces the classes j mod label_dim",
               false),
          &options.conditioning);
  set.Add(text("objective", "",
               "what the search minimises: fid, kid, inception_score, precision, recall, f_score, score (the mean of "
               "evaluation.scorer), or a sum with positive weights such as fid:1,kid:100,inception_score:0.5. Where "
               "higher is better the value enters with a minus sign. docs/objectives.md",
               true),
          &options.objective);
  set.Add(text("scorer", "path",
               "TorchScript module that scores single images, higher is better: forward(images uint8 [n, c, h, w][, "
               "named tensors of evaluation.conditioning]) -> [n]",
               false),
          &options.scorer);
}

}  // namespace lcsc
