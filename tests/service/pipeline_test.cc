#include "lcsc/service/pipeline.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>

namespace lcsc {
namespace {

class NothingToDo : public StagedEvaluator {
 public:
  int num_slots() const override { return 2; }
  void Prepare(std::span<EvaluationJob>) override {}
  void Measure(EvaluationJob&) override {}
  void Finish(EvaluationJob&) override {}
};

// More candidates than slots: whoever drops one gives its slot back.
TEST(PipelineTest, EndsWhenWhatIsPreparedIsAbandoned) {
  std::promise<void> ended;
  std::thread pipeline([&] {
    NothingToDo evaluator;
    int asked = 0;
    RunPipeline(evaluator,
                {.next = [&](int) { return ++asked <= 5 ? std::vector<Candidate>(1) : std::vector<Candidate>(); },
                 .done = [](EvaluationJob) { ADD_FAILURE() << "it was to be dropped"; },
                 .abandoned = [] { return true; },
                 .failed = [](const std::exception_ptr&) { ADD_FAILURE(); }},
                Overlap::kOn);
    ended.set_value();
  });
  const bool in_time = ended.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  if (!in_time) {
    ADD_FAILURE() << "it waits for ever";
    std::_Exit(1);
  }
  pipeline.join();
}

}  // namespace
}  // namespace lcsc
