#include "fuzz_target.h"
#include "lcsc/config/evaluation_options.h"
#include "lcsc/config/run_options.h"
#include "lcsc/config/search_options.h"
#include "lcsc/config/train_options.h"

namespace lcsc {
namespace {

struct Options {
  EvaluationOptions evaluation;
  SearchOptions search;
  RunOptions run;
  TrainOptions train;
};

void Declare(OptionSet& set, Options& options) {
  AddEvaluationOptions(set, options.evaluation);
  AddSearchOptions(set, options.search);
  AddRunOptions(set, options.run);
  AddTrainOptions(set, options.train);
}

}  // namespace
}  // namespace lcsc

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  return AllowRefusal([&] {
    Options options;
    OptionSet set;
    Declare(set, options);
    set.ReadConfig(FileOf("input.ini", data, size));
    Expect(options.evaluation.num_samples >= 2 && options.search.children >= 1 && options.run.queue_depth >= 1,
           "accepted options lie in their documented ranges");
  });
}
