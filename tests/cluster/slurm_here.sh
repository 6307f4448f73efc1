#!/bin/sh
# usage: slurm_here.sh NODES DIR COMMAND...
# Runs COMMAND with a Slurm of this machine alone: munged, slurmctld and so many slurmd, up in about a second.
# Returns its exit code; 77, which ctest counts as skipped, where Slurm or the right to make namespaces is
# missing. All of it runs in a network, host name and process namespace of its own: nothing leaves its
# loopback, no port can be taken, and every process ends with COMMAND. What is written is in DIR.
# As root, on Debian 12 and 13: apt-get install --no-install-recommends slurm-wlm munge iproute2
set -eu
nodes=$1 dir=$2
skip() { echo "slurm_here: $1; skipped"; exit 77; }
if [ "${SLURM_HERE:-}" != inside ]; then
  for tool in slurmctld slurmd sbatch munged ip unshare; do
    command -v $tool >/dev/null || skip "no $tool here"
  done
  unshare --net --uts --mount --pid --fork true 2>/dev/null || skip "no right to make namespaces"
  rm -rf "$dir"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  shift 2
  export SLURM_HERE=inside
  exec unshare --net --uts --mount-proc --pid --fork --kill-child sh "$0" "$nodes" "$dir" "$@"
fi
shift 2
trap 'exit 143' INT TERM # the first process of a namespace gets no signal that it does not handle

hostname localhost
ip link set lo up
ip address add 127.0.0.2/8 dev lo # glibc looks up no name while 127.0.0.1 is the only address
mkdir "$dir/state" "$dir/munge"
(umask 077; head -c 1024 /dev/urandom >"$dir/munge/key")
all=n1 ports=7001 cores=$(nproc)
[ "$nodes" = 1 ] || all="n[1-$nodes]" ports="[7001-$((7000 + nodes))]"
# sched_interval and cred_expire: else a requeued job waits two minutes. TmpFS: slurmd wants a folder a node.
cat >"$dir/slurm.conf" <<END
ClusterName=here
SlurmctldHost=localhost(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/%n
TmpFS=$dir/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=50000,sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=5
NodeName=$all NodeHostname=localhost NodeAddr=127.0.0.1 Port=$ports CPUs=$cores RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
case $(slurmd -V) in
  *" 22."*) ;; # Debian 12's does not know the line that Debian 13's 24.11 asks for
  *) echo CgroupPlugin=disabled >"$dir/cgroup.conf" ;;
esac
export SLURM_CONF="$dir/slurm.conf"
fail() { echo "slurm_here: $1"; tail -n 5 "$dir"/*.log; exit 1; }
munge=$dir/munge
munged --force --key-file="$munge/key" --socket="$munge/socket" --pid-file="$munge/pid" \
  --log-file="$munge/log" --seed-file="$munge/seed" --origin=127.0.0.1 --num-threads=2 || fail "no munged"
slurmctld -c || fail "no slurmctld"
for n in $(seq "$nodes"); do
  mkdir "$dir/n$n"
  slurmd -N "n$n" || fail "no slurmd"
done
idle() { [ "$(timeout 2 sinfo -h --states=idle --Format=nodes 2>/dev/null | tr -d ' ')" = "$nodes" ]; }
for _ in $(seq 150); do
  idle && break
  sleep 0.1
done
idle || fail "the nodes did not come up"
code=0
"$@" || code=$?
exit $code
