#!/usr/bin/env bash
# cluster/search.sbatch in a real Slurm: slurm_test.sh SCRATCH LCSC MAKE_TINY_PROJECT
# A search that is told to stop before its time limit, one that is cancelled, one that is preempted, one that loses a
# node: each is resumed and ends with the candidates of a search that nobody disturbed. A job that a retry cannot mend
# ends at once; one that gets nowhere, soon.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
scratch=$1
export LCSC=$2 LCSC_ROOT=$root
make_tiny_project=$3
# shellcheck source=tests/cluster/isolation.sh
. "$here/isolation.sh"
# shellcheck source=tests/cluster/slurm_cluster.sh
. "$here/slurm_cluster.sh"
require_commands slurmctld slurmd munged sbatch ip mpirun python3
isolate "$scratch" "$0" "$@"
trap '[ $? -eq 0 ] || { echo "FAILED in: ${test_case:-set-up}"; squeue --states=all || true; cat "$scratch"/*.log || true; slurm_cluster_logs; }' EXIT

fail() { echo "expected $*" >&2; exit 1; }
begin() { test_case=$1; echo "== ${SECONDS} s: $test_case"; }

# await SECONDS WHAT COMMAND...: polls the command until it succeeds.
await() {
  local what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@"; do
    [ "$SECONDS" -le "$end" ] || fail "$what in time"
    sleep 0.1
  done
}

# field JOB NAME: what `scontrol show job` says of it.
field() { scontrol --oneliner show job "$1" | grep -oP "(?<=\\s$2=)\\S*" | head -n 1; }
has() { [ "$(field "$1" "$2")" = "$3" ]; }
has_ended() { squeue --noheader --states=all --jobs="$1" --format=%T | grep -qE '^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$'; }
outcomes() { { wc -l <"$scratch/$1/metrics.jsonl" || echo 0; } 2>/dev/null; }
has_outcomes() { [ "$(outcomes "$1")" -ge "$2" ]; }
waits_again() { has "$1" JobState PENDING && has "$1" Restarts "$2"; }

# submit RUN [SBATCH OPTION ...]: prints the job's number. One rank on each node.
submit() {
  local run=$1
  shift
  [ -e "$scratch/$run.ini" ] || cp "$scratch/project/search.ini" "$scratch/$run.ini"
  sbatch --parsable --chdir="$scratch" --output="$scratch/$run.log" --nodes=3 --ntasks-per-node=1 --cpus-per-task=1 \
    "$@" "$root/cluster/search.sbatch" "$run.ini" --run "$run"
}

status() { "$LCSC" status "$scratch/$1" --json; }
evaluations() { status "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["evaluations"])' || fail "a run directory $1 that can be read"; }

# Gives a search without an end one that comes soon: less than two generations from here.
end_soon() {
  local epochs
  epochs=$(evaluations "$1")
  epochs=$((epochs / 10 + 1))
  sed -i "s/^epochs = .*/epochs = $epochs/" "$scratch/$1.ini"
  [ "$epochs" -le "$most_epochs" ] || most_epochs=$epochs
}

expect_end() {
  await 60 "the end of job $1" has_ended "$1"
  has "$1" JobState "$2" || fail "state $2, found $(field "$1" JobState)"
  has "$1" ExitCode "$3" || fail "exit code $3, found $(field "$1" ExitCode)"
}

# Slurm lets a requeued job wait for two minutes, counted from when it has cleaned up after it.
starts_now() {
  scontrol update JobId="$1" StartTime=now 2>/dev/null || true
  ! has "$1" JobState PENDING && ! has "$1" JobState COMPLETING
}

# start_again JOB: without that wait; but a node refuses a job in the second in which it has killed it.
start_again() {
  sleep 2
  await 30 "a start of job $1" starts_now "$1"
}

# release JOB RUN: starts it again, with an end.
release() {
  end_soon "$2"
  start_again "$1"
}

bad_config_is_not_requeued() {
  local job
  printf '[search]\nchildren = many\n' >"$scratch/bad.ini"
  job=$(submit bad --nodes=1 --ntasks-per-node=2)
  expect_end "$job" FAILED 2:0
  has "$job" Restarts 0 || fail "no restart, found $(field "$job" Restarts)"
}

# A program in lcsc's place that always dies: once without ever having evaluated anything, once with a little progress.
give_up() {
  local name=$1 step=$2 restarts=$3 job i
  cat >"$scratch/$name" <<END
#!/usr/bin/env bash
count=\$(cat $scratch/$name.count 2>/dev/null || echo 0)
[ "\$1" = status ] && { echo "{\"evaluations\":\$count,\"live\":{\"evaluations\":0}}"; exit; }
case "\$*" in *--where) echo "$name.run"; exit ;; esac
mkdir -p "$scratch/$name.run"
[ "\$OMPI_COMM_WORLD_RANK" != 0 ] || echo \$((count + $step)) >$scratch/$name.count
exit 5
END
  chmod +x "$scratch/$name"
  job=$(cd "$scratch" && LCSC=$scratch/$name sbatch --parsable --output="$name.log" --ntasks-per-node=2 --cpus-per-task=1 \
    "$root/cluster/search.sbatch" none.ini --run "$name.run")
  for i in $(seq "$restarts"); do
    await 20 "restart $i" waits_again "$job" "$i"
    start_again "$job"
  done
  expect_end "$job" FAILED 5:0
  has "$job" Restarts "$restarts" || fail "$restarts restarts, found $(field "$job" Restarts)"
}

cancelled_job_stays_cancelled() {
  local job survivors
  job=$(submit cancelled)
  await 30 "outcomes" has_outcomes cancelled 20
  scancel "$job"
  await 30 "the end" has_ended "$job"
  sleep 1
  has "$job" JobState CANCELLED || fail "CANCELLED, found $(field "$job" JobState)"
  survivors=$(evaluations cancelled)
  echo "evaluations of $(outcomes cancelled) that survived scancel: $survivors"
  [ "$survivors" -ge 19 ] || fail "19 evaluations"
  end_soon cancelled
  expect_end "$(submit cancelled)" COMPLETED 0:0
}

# A job of a partition with a higher priority wants the nodes.
preempted_job_goes_on() {
  local job urgent
  job=$(submit preempted --partition=main)
  await 30 "outcomes" has_outcomes preempted 20
  urgent=$(sbatch --parsable --partition=urgent --nodes=3 --exclusive --output=/dev/null --wrap 'sleep 1')
  await 40 "preemption" waits_again "$job" 1
  await 20 "the urgent job's end" has_ended "$urgent"
  release "$job" preempted
  expect_end "$job" COMPLETED 0:0
}

# The batch script's node stays. The job goes on with the two nodes that are left.
lost_node_is_replaced() {
  local job
  export OMPI_MCA_oob_tcp_keepalive_time=2 OMPI_MCA_oob_tcp_keepalive_intvl=1 OMPI_MCA_oob_tcp_keepalive_probes=2
  job=$(submit lost --nodes=2)
  await 30 "outcomes" has_outcomes lost 20
  has "$job" NodeList 'n[1-2]' || fail "nodes n[1-2], found $(field "$job" NodeList)"
  slurm_cluster_cut n2
  # The job has not ended for Slurm until that has given the node up.
  await 60 "requeue" has "$job" Restarts 1
  end_soon lost
  scontrol update NodeName=n2 State=DOWN Reason=cut
  start_again "$job"
  expect_end "$job" COMPLETED 0:0
  has "$job" NodeList 'n[1,3]' || fail "nodes n[1,3], found $(field "$job" NodeList)"
}

# Slurm looks at time limits every 30 s: the signal comes at the first look after 12 s. Other cases have that time.
submit_limited() { submit limited --nodes=2 --time=1 --signal=B:USR1@48; }

time_limit_is_survived() {
  local job=$1
  await 60 "requeue" waits_again "$job" 1
  status limited | grep -q '"state":"interrupted"' || fail "a clean snapshot"
  release "$job" limited
  expect_end "$job" COMPLETED 0:0
  echo "-- the log of job $job"
  cat "$scratch/limited.log"
}

expect_undisturbed() {
  local run
  sed "s/^epochs = .*/epochs = $most_epochs/" "$scratch/project/search.ini" >"$scratch/undisturbed.ini"
  "$root/launch/run" --workers 2 search --config "$scratch/undisturbed.ini" --run "$scratch/undisturbed" \
    >"$scratch/undisturbed.log" 2>&1
  for run in undisturbed "$@"; do "$LCSC" status "$scratch/$run" --json --candidates >"$scratch/$run.json"; done
  for run in "$@"; do python3 "$here/same_search.py" "$scratch/$run.json" "$scratch/undisturbed.json"; done
}

begin "a tiny project and a cluster of three nodes"
mkdir "$scratch/project"
"$make_tiny_project" "$scratch/project"
"$LCSC" pack --checkpoints "$scratch/project/models/step-*.safetensors" --output "$scratch/project/tiny.traj" >/dev/null 2>&1
slurm_cluster_start "$scratch" 3
most_epochs=1

begin "a bad config ends the job"
bad_config_is_not_requeued
limited=$(submit_limited)
begin "three sessions in a row without an evaluation end the job"
give_up stuck 0 2
begin "LCSC_MAX_RESTARTS ends the job"
LCSC_MAX_RESTARTS=1 give_up capped 1 1
begin "the time limit"
time_limit_is_survived "$limited"
begin "scancel"
cancelled_job_stays_cancelled
begin "preemption"
preempted_job_goes_on
begin "a lost node"
lost_node_is_replaced
begin "the same search, undisturbed"
expect_undisturbed limited cancelled preempted lost
begin "done"
