#!/bin/bash
# Grades a class as a Slurm job array, a shard in each task. From the folder of the course, which all nodes see:
#
#   sbatch --array=1-4 tests/course/cluster/slurm.sh ~/submissions 4
#   cargo course grade --merge ~/submissions-shards
#
# A task that was killed, or that a node has lost, continues where it was: give its number alone, --array=3.
#
#SBATCH --job-name=grade
#SBATCH --output=grade-%a.log
#SBATCH --open-mode=append
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail
class=${1:?the folder with the submissions}
shards=${2:?the number of shards}

# Builds on the node's own disk. Tasks on the same node share it: each takes a workbench of its own.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${TMPDIR:-/tmp}/course-$(id -un)}
# On nodes that run other jobs beside it, tests need more time.
export COURSE_TIME_SCALE=${COURSE_TIME_SCALE:-1}

exec cargo course grade --all "$class" --shard "$SLURM_ARRAY_TASK_ID/$shards"
