#include <algorithm>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "app/report_sections.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/log.h"
#include "lcsc/comm/group.h"
#include "lcsc/model/threads.h"

namespace lcsc {
namespace {

class ReportCommand : public Command {
 public:
  std::string name() const override { return "report"; }
  std::string summary() const override {
    return "writes one HTML page about a search, while it runs and afterwards: convergence, coefficients, images";
  }

  void AddOptions(OptionSet& set) override {
    set.AddPositional({"", "run", "path", "the run directory"}, &run_);
    set.Add({"", "out", "path", "the page; none: report.html in the run directory"}, &out_);
    set.Add({"", "images", "pairs",
             "pairs of images, of the best EMA and of the best candidate from the same noise; drawn on the CPU; 0: "
             "none"},
            &num_pairs_, {0, 10000});
    set.Add({"", "image_seed", "", "seed of the images' noise; not the search's"}, &image_seed_,
            {0, std::numeric_limits<std::int64_t>::max()});
    AddJsonFlag(set, &json_);
    // The run's own config.ini is read, and nothing overrides it.
    AddTrainOptions(set, file_.train);
    AddEvaluationOptions(set, file_.evaluation);
    AddSearchOptions(set, file_.search);
    AddRunOptions(set, file_.run);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    set.Require("run");
    set.ReadConfig(RunDirectory::OpenExisting(run_).config_path());
    ReportFacts facts;
    facts.folder = run_;
    facts.evaluation = file_.evaluation;
    facts.search = file_.search;
    ReadRun(facts);
    const SampleSheet sheet = Draw(facts, set);
    const std::string path = out_.empty() ? (facts.folder / "report.html").string() : out_;
    const std::string html = PageHtml(PageOf(facts, sheet));
    PublishText(path, html);
    PrintResult({{"run", run_},
                 {"page", path},
                 {"bytes", html.size()},
                 {"state", RunStateName(facts.snapshot.state)},
                 {"evaluations", facts.snapshot.population.size()},
                 {"image_pairs", sheet.pairs ? sheet.pairs->pairs.size() : 0}},
                json_);
    return ExitCode::kDone;
  }

 private:
  static Page PageOf(const ReportFacts& facts, const SampleSheet& sheet) {
    Page page{.title = "lcsc: " + facts.folder.string(), .lead = "", .sections = {}};
    page.sections = {SummarySection(facts), ConvergenceSection(facts), CoefficientsSection(facts),
                     StagesSection(facts),  BaselinesSection(facts),   SamplesSection(facts, sheet)};
    if (facts.landscape) page.sections.push_back(LandscapeSection(*facts.landscape));
    page.sections.push_back(ProvenanceSection(facts));
    return page;
  }

  // A page without images is better than none, unless they were asked for.
  SampleSheet Draw(const ReportFacts& facts, const OptionSet& set) const {
    SampleSheet sheet{.pairs = {}, .seed = image_seed_, .reason = WhyNoImages(facts)};
    if (!sheet.reason.empty()) return sheet;
    try {
      sheet.pairs = DrawPairsOf(facts, set);
    } catch (const Error& error) {
      if (set.IsSet("images") || error.exit_code() != ExitCode::kBadInput) throw;
      spdlog::warn("no images: {}", error.what());
      sheet.reason = error.what();
    }
    return sheet;
  }

  std::string WhyNoImages(const ReportFacts& facts) const {
    if (num_pairs_ == 0) return "none were asked for.";
    const EvaluatedCandidate *best = facts.best(), *ema = facts.best_ema();
    if (best == nullptr || ema == nullptr) return "no EMA candidate has a score yet.";
    return best == ema ? "the best candidate is the best EMA itself." : "";
  }

  ImagePairs DrawPairsOf(const ReportFacts& facts, const OptionSet& set) const {
    if (image_seed_ == facts.evaluation.seed) {
      throw ConfigError("--image-seed: expected another seed than the search's {}, found the same", image_seed_);
    }
    if (!facts.trajectory) throw InputError("{}", facts.no_trajectory);
    CheckSameScores(facts.snapshot.identity, EvaluationIdentity(set, facts.evaluation, *facts.trajectory), run_);
    SetArithmeticThreads(ThreadsPerRank({}, file_.run.threads));
    EvaluationOptions options = facts.evaluation;
    options.seed = image_seed_;
    return DrawPairs(*facts.trajectory, {*facts.best_ema(), *facts.best()}, options,
                     std::min(num_pairs_, options.num_samples));
  }

  std::string run_, out_;
  std::int64_t num_pairs_ = 24;
  std::int64_t image_seed_ = 1000;
  bool json_ = false;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeReportCommand() { return std::make_unique<ReportCommand>(); }

}  // namespace lcsc
