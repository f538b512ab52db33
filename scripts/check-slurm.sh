#!/usr/bin/env bash
# Hold `asdbench sweep --slurm` against a real Slurm: one node, here, started and ended by this script.
#
# Makes synthetic machines and a small study, submits its sweep as a job array, tells one task that its time is up so that it
# is queued again, and compares the table at the end with that of a sweep without Slurm.
#
# Takes minutes. Installs Debian's slurm-wlm and munge where they are missing; their services are not used and not touched:
# the daemons run as whoever calls this, in a folder of their own that goes away with them. ASDBENCH=FILE names a program to
# take in place of building one. KEEP=1 leaves the folder, logs and all.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
install_missing slurm-wlm munge

if [ -z "${ASDBENCH:-}" ]; then
    say "building asdbench for the CPU (ASDBENCH=FILE takes one that is there)"
    cargo build --release --locked --no-default-features
    ASDBENCH=$CARGO_TARGET_DIR/release/asdbench
fi
asdbench=$(realpath "$ASDBENCH")

# A name with a space, which a script for Slurm must survive. Short: a socket's path has 108 bytes at most.
work=$(mktemp -d "${TMPDIR:-/tmp}/asdbench slurm.XXXXXX")
# Slurm's own files are no test of ours, and not all of them take spaces.
etc=$(mktemp -d "${TMPDIR:-/tmp}/asdbench-slurm.XXXXXX")
daemons=()

end() {
    code=$?
    trap - EXIT INT TERM
    if [ "$code" -ne 0 ]; then
        tail -n 20 "$etc"/*.log "$work"/runs/.studies/*/logs/*.log 2>/dev/null || true
    fi
    scancel --user="$(id -un)" --quiet 2>/dev/null || true
    for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${daemons[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ -n "${KEEP:-}" ]; then
        echo "kept: $work and $etc" >&2
    else
        rm -rf "$work" "$etc"
    fi
    exit "$code"
}
trap end EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }

# Wait until a command succeeds: seconds, what it is, the command.
within() {
    local seconds=$1 what=$2
    shift 2
    for _ in $(seq "$((seconds * 5))"); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    fail "$what took more than $seconds s"
}

# --- a Slurm of one node -------------------------------------------------------------------------------------------

free_port() {
    local port
    for port in $(shuf -i 20000-30000 -n 50); do
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "no free port"
}

say "starting a Slurm of one node"
chmod 755 "$etc"
dd if=/dev/urandom of="$etc/munge.key" bs=128 count=1 status=none
chmod 400 "$etc/munge.key"
node=$(hostname -s)
cores=$(nproc)
cat >"$etc/slurm.conf" <<CONF
ClusterName=check
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$etc/munge.socket
StateSaveLocation=$etc/state
SlurmdSpoolDir=$etc/spool
SlurmctldPidFile=$etc/slurmctld.pid
SlurmdPidFile=$etc/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobRequeue=1
SchedulerParameters=requeue_setup_env_fail,sched_interval=5,batch_sched_delay=1
KillWait=30
MinJobAge=3600
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cores RealMemory=256 State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
mkdir -p "$etc/state" "$etc/spool"
export SLURM_CONF=$etc/slurm.conf PATH=$PATH:/usr/sbin

munged --foreground --socket="$etc/munge.socket" --key-file="$etc/munge.key" --pid-file="$etc/munge.pid" \
    --log-file="$etc/munged.log" --seed-file="$etc/munge.seed" >/dev/null 2>&1 &
daemons+=($!)
within 20 "munge's socket" test -S "$etc/munge.socket"
slurmctld -D -i >"$etc/slurmctld.log" 2>&1 &
daemons+=($!)
slurmd -D -N "$node" >"$etc/slurmd.log" 2>&1 &
daemons+=($!)
idle() { [ "$(sinfo --noheader --format=%t)" = idle ]; }
within 60 "the node's coming up" idle
sinfo

# --- a sweep through it --------------------------------------------------------------------------------------------

cd "$work"
say "synthetic machines, and a study of four configurations"
"$asdbench" synth data --preset tiny --machines fan,valve --quiet >/dev/null
configs=$OLDPWD/configs
cat >"a study.toml" <<STUDY
[study]
name = "slurm"

[common]
data.root = "data"

[[family]]
config = "$configs/micro/ae.toml"

[family.override]
# Long enough to be caught at it.
train.epochs = 40
train.checkpoint_every_s = 0.0
STUDY

say "the sweep without Slurm"
"$asdbench" sweep "a study.toml" --runs undisturbed --device cpu --no-progress --quiet >/dev/null
"$asdbench" correlate undisturbed --format json >undisturbed.json

say "the same as a job array"
"$asdbench" sweep "a study.toml" --runs runs --device cpu --slurm job.sh --tasks 2 --submit
bash -n job.sh
grep -q '^#SBATCH --array=1-2$' job.sh || fail "job.sh is no array of two tasks"
job=$(squeue --noheader --format=%F | sort -u)
[ "$(wc -w <<<"$job")" = 1 ] || fail "there is not one job: '$job'"

running() { squeue --noheader --job="${job}_1" --format=%t | grep -q '^R$'; }
within 60 "the first task's start" running
within 60 "the first run" sh -c 'ls runs/autoencoder/*/*/seed-0/metrics.jsonl'
say "telling the first task that its time is up"
scancel --batch --signal=USR1 "${job}_1"
queued_again() { [ "$(scontrol show job "${job}_1" --oneliner | grep -o 'Restarts=[0-9]*' | head -n 1)" != Restarts=0 ]; }
within 120 "the first task's being queued again" queued_again
# A task that is queued again waits for two minutes; an administrator need not.
begin_now() { scontrol update job="${job}_1" starttime=now; }
within 30 "letting it begin" begin_now
finished() { [ -z "$(squeue --noheader --job="$job" --states=pending,running,completing,requeued)" ]; }
within 600 "the job array" finished

say "what came of it"
scontrol show job "$job" --oneliner | grep -o 'JobId=[0-9]*\|ArrayTaskId=[0-9]*\|JobState=[A-Z]*\|Restarts=[0-9]*\|ExitCode=[0-9:]*' |
    paste -sd ' ' | sed 's/ JobId/\nJobId/g'
[ "$(scontrol show job "$job" --oneliner | grep -c 'JobState=COMPLETED')" = 2 ] || fail "not both tasks are completed"
cat runs/.studies/slurm/logs/slurm-"$job"_1.log
grep -q 'the time is up: queued again' runs/.studies/slurm/logs/slurm-"$job"_1.log || fail "the log does not say it"
"$asdbench" correlate runs --format json >through-slurm.json
cmp undisturbed.json through-slurm.json || fail "the table is not that of a sweep without Slurm"

say "ok: the job array, stopped and queued again, gave the table of an undisturbed sweep"
