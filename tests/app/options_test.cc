// docs/options.md is what the program says of itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/run_command.h"

namespace lcsc {
namespace {

TEST(OptionsTest, TheDocumentedOptionsAreTheProgramsOwn) {
  const CommandResult options = RunCommand(Lcsc({"--options-markdown"}));
  ASSERT_EQ(options.exit_code, 0) << options.err;
  EXPECT_EQ(ReadBytes(LCSC_SOURCE_DIR "/docs/options.md"), options.out)
      << "make it again: lcsc --options-markdown > docs/options.md";
}

}  // namespace
}  // namespace lcsc
