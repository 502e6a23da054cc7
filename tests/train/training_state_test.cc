#include "lcsc/train/training_state.h"

#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

TEST(TrainingState, ComesBackAsItWasWritten) {
  const TempFolder folder;
  WriteTrainingState(folder / "state", {"tuning", 41, {{"weights", at::tensor({1.5f, -2.0f})}}});
  const auto state = ReadTrainingState(folder / "state");
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->stage, "tuning");
  EXPECT_EQ(state->iterations, 41);
  EXPECT_TRUE(state->optimiser.at("weights").equal(at::tensor({1.5f, -2.0f})));
}

TEST(TrainingState, IsNothingWithoutAFile) {
  const TempFolder folder;
  EXPECT_FALSE(ReadTrainingState(folder / "state").has_value());
}

TEST(TrainingState, RefusesATruncatedFile) {
  const TempFolder folder;
  WriteTrainingState(folder / "state", {"tuning", 41, {{"weights", at::ones({100})}}});
  WriteBytes(folder / "state", ReadBytes(folder / "state").substr(0, 300));
  EXPECT_THROW(ReadTrainingState(folder / "state"), InputError);
}

TEST(TrainingState, RefusesAFileOfAnotherFormat) {
  const TempFolder folder;
  WriteSafetensors(folder / "state", {{"weights", at::ones({1})}}, {{"format", "something"}});
  const std::string message = MessageOf<InputError>([&] { ReadTrainingState(folder / "state"); });
  EXPECT_NE(message.find("'something'"), std::string::npos) << message;
}

TEST(TrainingState, RefusesACountThatIsNoNumber) {
  const TempFolder folder;
  WriteSafetensors(folder / "state", {{"weights", at::ones({1})}},
                   {{"format", "lcsc-training-state-1"}, {"stage", "tuning"}, {"iterations", "-3"}});
  const std::string message = MessageOf<InputError>([&] { ReadTrainingState(folder / "state"); });
  EXPECT_NE(message.find("'-3'"), std::string::npos) << message;
}

}  // namespace
}  // namespace lcsc
