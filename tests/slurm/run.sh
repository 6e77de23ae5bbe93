#!/usr/bin/env bash
# A short run (tests/config/brief.yaml) on a real SLURM: munged, slurmctld and slurmd for one node on loopback, profile profiles/slurm.
#
#     tests/slurm/run.sh [folder of the environment's programs, default .venv/bin]
#
# Needs root, and apt to install slurm-wlm and munge where they are missing; without them it says that it skips. What it
# runs ends with it, and its /etc/slurm/slurm.conf goes away (jobs look there): a machine that has one is left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
BIN=$(cd "${1:-.venv/bin}" && pwd)

skip() {
    echo "SLURM: SKIPPED: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "not root"
CONF=/etc/slurm/slurm.conf
[ ! -e $CONF ] || skip "this machine has a SLURM: $CONF"
if ! command -v slurmctld > /dev/null || ! command -v munged > /dev/null; then
    command -v apt-get > /dev/null || skip "no slurmctld or munged, and no apt"
    echo "SLURM: installing slurm-wlm and munge"
    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge) \
        > /tmp/slurm-apt.log 2>&1 || skip "apt does not install slurm-wlm and munge ($(tail -1 /tmp/slurm-apt.log))"
fi
"$BIN/python" -c "import snakemake_executor_plugin_slurm" 2> /dev/null \
    || skip "no snakemake-executor-plugin-slurm (pip install tashower[cluster])"

WORK=$(mktemp -d)
NODE=$(hostname -s)
STARTED=()
finish() {
    status=$?
    [ $status = 0 ] || tail -n 20 "$WORK"/slurmctld.log "$WORK"/slurmd.log 2> /dev/null || true
    for process in "${STARTED[@]}"; do kill "$process" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$WORK" $CONF
    exit $status
}
trap finish EXIT

mkdir -p "$WORK/state" "$WORK/spool"
CORES=$(nproc)
MEMORY=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 500))
mkdir -p /etc/slurm
cat > $CONF << EOF
ClusterName=loopback
SlurmctldHost=$NODE(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$WORK/munge.socket
CryptoType=crypto/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$WORK/state
SlurmdSpoolDir=$WORK/spool
SlurmctldPidFile=$WORK/slurmctld.pid
SlurmdPidFile=$WORK/slurmd.pid
SlurmctldLogFile=$WORK/slurmctld.log
SlurmdLogFile=$WORK/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=600
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=$NODE NodeAddr=127.0.0.1 CPUs=$CORES RealMemory=$MEMORY State=UNKNOWN
PartitionName=all Nodes=$NODE Default=YES MaxTime=INFINITE State=UP
EOF

dd if=/dev/urandom of="$WORK/munge.key" bs=1024 count=1 2> /dev/null
chmod 400 "$WORK/munge.key"
chmod 755 "$WORK"
munged --foreground --force --socket "$WORK/munge.socket" --key-file "$WORK/munge.key" --pid-file "$WORK/munged.pid" \
    --log-file "$WORK/munged.log" --seed-file "$WORK/munged.seed" 2> /dev/null &
STARTED+=($!)
sleep 1
slurmctld -D &
STARTED+=($!)
slurmd -D -N "$NODE" &
STARTED+=($!)
for _ in $(seq 30); do
    [ "$(sinfo -h -o %T 2> /dev/null)" = idle ] && break
    sleep 1
done
[ "$(sinfo -h -o %T)" = idle ] || { echo "SLURM: the node does not come up"; exit 1; }
echo "SLURM: $(sinfo --version) on $NODE, $CORES cores, $MEMORY MB"

export PATH="$BIN:$PATH"
RESULTS=results-slurm
rm -rf $RESULTS
# The seconds are for a quick test: they would be a burden to a controller with many users.
snakemake --workflow-profile profiles/slurm --configfile tests/config/brief.yaml --config results=$RESULTS \
    --slurm-init-seconds-before-status-checks 2 --seconds-between-status-checks 3
test -s $RESULTS/report.html
echo "SLURM: $(grep -c . <(scontrol -o show jobs)) jobs, last ones:"
scontrol -o show jobs | tail -3 | sed -E 's/.*JobId=([0-9]+).*JobState=([A-Z]+).*RunTime=([^ ]+).*NumCPUs=([0-9]+).*/  job \1 \2 \3 on \4 cores/'
[ -z "$(scontrol -o show jobs | grep -v JobState=COMPLETED)" ] || { echo "SLURM: jobs that did not complete"; exit 1; }
tashower verify $RESULTS
rm -rf $RESULTS
echo "SLURM: the short run went through"
