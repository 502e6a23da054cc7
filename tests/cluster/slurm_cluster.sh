# A real Slurm on this machine, without systemd: munged, slurmctld, and a slurmd for each node in namespaces of its own,
# joined by a bridge. Sourced by a test, behind isolation.sh.
#   slurm_cluster_start SCRATCH COUNT  nodes n1 to nCOUNT, four CPUs each; the test itself, which is isolated on SCRATCH
#                              (isolation.sh), becomes their controller `ctl`.
#   slurm_cluster_cut NODE     pulls its cable and kills everything on it.
#   slurm_cluster_logs         prints the end of every daemon's log.
# shellcheck shell=bash

slurm_cluster_config() {
  local base=$1 nodes=$2
  cat <<END
ClusterName=test
SlurmctldHost=ctl(10.99.0.100)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$base/run/munge.socket
SlurmctldPidFile=$base/run/slurmctld.pid
SlurmdPidFile=$base/run/slurmd-%n.pid
SlurmdSpoolDir=$base/spool/%n
StateSaveLocation=$base/state
SlurmctldLogFile=$base/log/slurmctld.log
SlurmdLogFile=$base/log/slurmd-%n.log
TmpFS=$base/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
SlurmdTimeout=10
MinJobAge=300
KillWait=5
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-$nodes] CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=5
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
END
}

# The addresses are the same in every such cluster: each has a network of its own.
slurm_cluster_files() {
  local base=$1 nodes=$2 i
  mkdir -p "$base"/{etc,run,log,state,spool,tmp}
  (umask 077; head -c 1024 /dev/urandom >"$base/etc/munge.key")
  printf '127.0.0.1 localhost\n10.99.0.100 ctl\n' >"$base/etc/hosts"
  for i in $(seq "$nodes"); do
    echo "10.99.0.$i n$i" >>"$base/etc/hosts"
    mkdir "$base/spool/n$i" "$base/tmp/n$i"
  done
  slurm_cluster_config "$base" "$nodes" >"$base/etc/slurm.conf"
}

slurm_cluster_controller() {
  local base=$1
  hostname ctl
  mount --bind "$base/etc/hosts" /etc/hosts
  mount -t tmpfs none /dev/shm
  ip link set lo up
  ip link add br0 type bridge
  ip addr add 10.99.0.100/24 dev br0
  ip link set br0 up
  munged --force --socket="$base/run/munge.socket" --key-file="$base/etc/munge.key" --log-file="$base/log/munged.log" \
    --pid-file="$base/run/munged.pid" --seed-file="$base/run/munged.seed"
  slurmctld -c
  until scontrol ping >/dev/null; do sleep 0.1; done
}

slurm_cluster_node() {
  local base=$1 i=$2
  # Its first process starts slurmd when the cable is there, and adopts what slurmd leaves behind.
  # shellcheck disable=SC2016
  unshare --mount --net --uts --ipc --pid --fork --kill-child --mount-proc bash -c '
    hostname "n$1"
    mount -t tmpfs none /dev/shm
    ip link set lo up
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
    ip addr add "10.99.0.$1/24" dev eth0
    ip link set eth0 up
    slurmd -N "n$1"
    while :; do sleep 1000 & wait; done' -- "$i" >"$base/log/n$i.log" 2>&1 &
  slurm_cluster_pids[i]=$!
  disown
  until [ "$(readlink "/proc/${slurm_cluster_pids[i]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
  ip link add "v$i" type veth peer name eth0 netns "${slurm_cluster_pids[i]}"
  ip link set "v$i" master br0 up
}

slurm_cluster_start() {
  local nodes=$2 i
  slurm_cluster_base=$1/slurm
  slurm_cluster_files "$slurm_cluster_base" "$nodes"
  export SLURM_CONF=$slurm_cluster_base/etc/slurm.conf
  # Open MPI names its folders after the host and the process, and those names are not unique on the machine.
  export OMPI_MCA_orte_tmpdir_base=$slurm_cluster_base/tmp
  slurm_cluster_controller "$slurm_cluster_base"
  slurm_cluster_pids=()
  for i in $(seq "$nodes"); do slurm_cluster_node "$slurm_cluster_base" "$i"; done
  for i in $(seq 300); do
    [ "$(sinfo --noheader --Node --partition=main --states=idle | wc -l)" -lt "$nodes" ] || return 0
    sleep 0.1
  done
  echo "the nodes did not come up"
  slurm_cluster_logs
  return 1
}

slurm_cluster_cut() {
  local i=${1#n}
  ip link set "v$i" down
  kill -KILL "${slurm_cluster_pids[i]}"
}

slurm_cluster_logs() {
  local log
  for log in "$slurm_cluster_base"/log/*.log; do
    echo "--- ${log##*/}"
    tail -n 15 "$log"
  done
}
