#include "lcsc/config/option_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;

class OptionSetTest : public ::testing::Test {
 protected:
  OptionSetTest() {
    options_.Add({"", "config", "path", "the config file"}, &config_);
    options_.Add({"", "set", "", "one key"}, &assignments_);
    options_.AddFlag({"", "json", "", "print JSON"}, &json_);
    options_.AddPositional({"", "run", "path", "the run"}, &run_);
    options_.Add({"search", "epochs", "generations", "Epoch", true}, &epochs_, {1, 100});
    options_.Add({"search", "mutation_std", "", "noise"}, &noise_, {0, 10});
    options_.Add({"search", "ema_rates", "", "rates"}, &rates_, {0, 1});
    options_.AddChoice({"evaluation", "sampler", "", "sampler"}, &sampler_, {"consistency", "karras-heun"});
  }

  std::string WriteConfig(const std::string& content) {
    const auto path = std::filesystem::path(::testing::TempDir()) / "option_set_test.ini";
    std::ofstream(path) << content;
    return path.string();
  }

  std::string ErrorOf(const std::vector<std::string>& arguments) {
    try {
      options_.Parse(arguments);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  }

  std::string config_, run_, sampler_ = "consistency";
  std::vector<std::string> assignments_;
  bool json_ = false;
  std::int64_t epochs_ = 5;
  double noise_ = 0.5;
  std::vector<double> rates_ = {0.25};
  OptionSet options_;
};

TEST_F(OptionSetTest, CommandLineBeatsSetBeatsConfigBeatsDefault) {
  options_.ExposeSection("search");
  const std::string config = WriteConfig("[search]\nepochs = 7\nmutation_std = 2\nema_rates = 0.5, 0.75\n");
  options_.Parse({"--config", config, "--set", "search.mutation_std=3", "--set", "search.epochs=9", "--epochs=8"});
  EXPECT_EQ(epochs_, 8);
  EXPECT_EQ(noise_, 3);
  EXPECT_EQ(rates_, (std::vector<double>{0.5, 0.75}));
  EXPECT_EQ(sampler_, "consistency");
  EXPECT_TRUE(options_.IsSet("search.epochs"));
  EXPECT_FALSE(options_.IsSet("evaluation.sampler"));
}

TEST_F(OptionSetTest, ReadsSwitchesAndPositionals) {
  options_.Parse({"runs/a b", "--json"});
  EXPECT_TRUE(json_);
  EXPECT_EQ(run_, "runs/a b");
}

TEST_F(OptionSetTest, TheIniThatItWritesReadsBack) {
  options_.Parse({"--set", "search.mutation_std=0.1", "--set", "evaluation.sampler=Karras-Heun"});
  const std::string config = WriteConfig(options_.ToIni());
  OptionSet again;
  double noise = 0;
  std::string path, sampler = "consistency";
  std::int64_t epochs = 0;
  std::vector<double> rates;
  again.Add({"", "config", "path", ""}, &path);
  again.Add({"search", "epochs", "", ""}, &epochs);
  again.Add({"search", "mutation_std", "", ""}, &noise);
  again.Add({"search", "ema_rates", "", ""}, &rates);
  again.Add({"evaluation", "sampler", "", ""}, &sampler);
  again.Parse({"--config", config});
  EXPECT_EQ(noise, 0.1);
  EXPECT_EQ(epochs, 5);
  EXPECT_EQ(rates, std::vector<double>{0.25});
  EXPECT_EQ(sampler, "karras-heun");
}

TEST_F(OptionSetTest, AMisspeltOptionSuggestsTheNearest) {
  EXPECT_THAT(ErrorOf({"--confg", "x"}), HasSubstr("'--confg', did you mean '--config'?"));
  EXPECT_THAT(ErrorOf({"--set", "search.epoch=3"}), HasSubstr("did you mean 'search.epochs'?"));
  const std::string config = WriteConfig("[search]\nmutatoin_std = 1\n");
  EXPECT_THAT(ErrorOf({"--config", config}), HasSubstr("did you mean 'search.mutation_std'?"));
  EXPECT_THAT(ErrorOf({"--set", "evaluation.sampler=karras-huen"}), HasSubstr("did you mean 'karras-heun'?"));
}

TEST_F(OptionSetTest, AValueOutOfRangeNamesKeyPlaceRangeAndValue) {
  const std::string config = WriteConfig("[search]\nepochs = 101\n");
  const std::string error = ErrorOf({"--config", config});
  EXPECT_THAT(error, HasSubstr("search.epochs"));
  EXPECT_THAT(error, HasSubstr(config));
  EXPECT_THAT(error, HasSubstr("a whole number in [1, 100]"));
  EXPECT_THAT(error, HasSubstr("'101'"));
}

TEST_F(OptionSetTest, RefusesWhatIsNoNumber) {
  for (const char* value : {"abc", "", "3x", "1e999", "nan", "2.5.1"}) {
    EXPECT_THAT(ErrorOf({"--set", std::string("search.mutation_std=") + value}), HasSubstr("expected a number"));
  }
  EXPECT_THAT(ErrorOf({"--set", "search.epochs=2.5"}), HasSubstr("expected a whole number"));
}

TEST_F(OptionSetTest, RefusesAnOptionGivenTwice) {
  EXPECT_THAT(ErrorOf({"--config", "a", "--config", "b"}), HasSubstr("given twice"));
}

TEST_F(OptionSetTest, RefusesAMissingConfigFile) {
  EXPECT_THAT(ErrorOf({"--config", "/nowhere/x.ini"}), HasSubstr("/nowhere/x.ini"));
}

TEST_F(OptionSetTest, RequireSaysHowToGiveTheValue) {
  options_.Parse({});
  try {
    options_.Require("run");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--run"));
  }
}

// A key of an INI file may be as long as the file: hours, if it were compared letter by letter.
TEST(NearestNameTest, AVeryLongNameIsFarAtOnce) {
  const std::vector<std::string> known(1000, "search.a_name_of_the_usual_length");
  EXPECT_EQ(NearestName(std::string(std::size_t{1} << 24, 's'), known), "");
}

TEST(NearestNameTest, FarNamesAreNotSuggested) {
  EXPECT_EQ(NearestName("zzzzzz", {"epochs", "children"}), "");
  EXPECT_EQ(NearestName("epcohs", {"epochs", "children"}), "epochs");
}

}  // namespace
}  // namespace lcsc
