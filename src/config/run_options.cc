#include "lcsc/config/run_options.h"

namespace lcsc {

void AddRunOptions(OptionSet& set, RunOptions& options) {
  const auto text = [](const char* name, const char* unit, const char* help) {
    return OptionText{"run", name, unit, help};
  };
  set.Add(text("directory", "path", "the run directory: made if absent, resumed from if there"), &options.directory);
  set.Add(
      text("group_size", "ranks",
           "ranks that evaluate one candidate together, sharing its samples and the shard; 0 takes the fewest whose "
           "memory holds the shard"),
      &options.group_size, {0, 100000});
  set.Add(
      text("memory_budget", "GiB",
           "host memory of each rank; a shard that does not fit beside the networks is read from its files at every "
           "merge. 0 is the rank's share of what the machine has left"),
      &options.memory_budget, {0, 1e6});
  set.Add(text("threads", "threads", "arithmetic threads per rank; 0 shares the node's cores among its ranks"),
          &options.threads, {0, 4096});
  set.AddChoice(text("overlap", "",
                     "whether a group merges the next candidate and scores the last one while it samples: on, off. It "
                     "changes no score"),
                &options.overlap, {"on", "off"});
  set.AddChoice(text("collective", "",
                     "how the ranks of a group exchange weights and statistics: mpi, nccl (between GPUs; one for each "
                     "rank), auto takes nccl where every rank of the group has a GPU of its own"),
                &options.collective, {"auto", "mpi", "nccl"});
  set.AddChoice(
      text("merge", "",
           "where full checkpoints are merged: cpu, cuda (on each rank's own GPU, in its memory when the shard "
           "fits, else in pinned host memory). Both give the same bits"),
      &options.merge, {"cpu", "cuda"});
  set.Add(text("queue_depth", "candidates",
               "candidates that a group holds: those in its pipeline, three when stages overlap, and those that wait. "
               "A shard that "
               "is read from files is read once for up to queue_depth - 1 of them, 8 at most"),
          &options.queue_depth, {1, 64});
  set.Add(text("snapshot_interval_s", "s",
               "time between two snapshots of the population; every outcome is in the journal at once, so this only "
               "bounds the journal. 0 is after every outcome"),
          &options.snapshot_interval_s, {0, 1e6});
  set.Add(
      text(
          "max_hours", "h",
          "time after which the search stops as if it had been asked to: a snapshot is published, what is in flight is "
          "given up (without mpirun the process first ends the stage that it is in), exit code 3. 0 is never"),
      &options.max_hours, {0, 1e6});
  set.Add(text("max_crashes", "times",
               "how often a candidate may crash or hang its worker before it counts as failed and is passed over; 0 is "
               "for ever"),
          &options.max_crashes, {0, 1000});
  set.Add(text("hang_timeout_s", "s",
               "a group that gives no outcome and begins no stage for so long, or a rank that sends no heartbeat, ends "
               "the job with exit code 5. 0 is ten times the longest evaluation so far, at least 60 (3600 before the "
               "first outcome), and 30 without a heartbeat"),
          &options.hang_timeout_s, {0, 1e6});
}

}  // namespace lcsc
