#!/usr/bin/env bash
# Starts a real Slurm cluster of one node on this machine, for tests/experiments/sweep/test_slurm.py. As root, with Debian's packages
# slurm-wlm and munge. A cluster that answers is left as it is, and so is a configuration made by somebody else.
# Environment: SLURM_DIR (state and logs, default a new temporary folder). To stop it: scontrol shutdown.
set -euo pipefail
if timeout 10 sinfo --noheader >/dev/null 2>&1; then
  echo "Slurm answers already"
  exit
fi
conf=/etc/slurm/slurm.conf
mark="# made by start-one-node.sh"
if [ -s "$conf" ] && ! grep -q "^$mark" "$conf"; then
  echo "error: $conf is somebody else's, and its cluster does not answer" >&2
  exit 1
fi
dir=${SLURM_DIR:-$(mktemp -d)}
host=$(hostname -s)
mkdir -p "$dir/state" "$dir/spool" /etc/slurm /run/munge
chown munge:munge /run/munge
cat >"$conf" <<CONF
$mark
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
MaxArraySize=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
if ! munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then
  runuser -u munge -- /usr/sbin/munged
fi
slurmctld
slurmd
for _ in $(seq 60); do
  if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then
    sinfo
    exit
  fi
  sleep 0.5
done
echo "error: Slurm did not start, see $dir" >&2
exit 1
