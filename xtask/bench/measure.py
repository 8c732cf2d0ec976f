"""Runs one program and says what it cost.

In: measure.py TIMEOUT_SECONDS PROGRAM ARGUMENT ...
Out, on stdout: exit code, CPU seconds (user and system), peak memory in KiB; separated by blanks.
A program that takes longer than the time-out is killed with all its children; its exit code is then 124.

CPU comes from wait4, in microseconds. Peak memory comes from GNU time: a process inherits the peak of the one that
started it, and GNU time is far smaller than this interpreter. What `true` costs when run the same way is taken off,
so that starting a process does not count. Short runs are repeated, and the fastest counts.
"""

import os
import signal
import sys
import tempfile

REPEAT_BELOW_SECONDS = 0.1
REPEATS = 5


def run(command, seconds_max):
    with tempfile.NamedTemporaryFile() as peak:
        sink = os.open(os.devnull, os.O_RDWR)
        child = os.posix_spawnp(
            "time",
            ["time", "-q", "-f", "%M", "-o", peak.name, *command],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, sink, 0), (os.POSIX_SPAWN_DUP2, sink, 1)],
            setpgroup=0,
        )
        os.close(sink)

        def stop(_number, _frame):
            os.killpg(child, signal.SIGKILL)

        signal.signal(signal.SIGALRM, stop)
        signal.alarm(seconds_max)
        _, status, usage = os.wait4(child, 0)
        signal.alarm(0)
        code = 124 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
        text = peak.read().split()
        return code, usage.ru_utime + usage.ru_stime, int(text[-1]) if text else 0


def main():
    seconds_max = int(sys.argv[1])
    command = sys.argv[2:]
    code, cpu, peak = run(command, seconds_max)
    if cpu < REPEAT_BELOW_SECONDS and code != 124:
        cpu = min(cpu, *(run(command, seconds_max)[1] for _ in range(REPEATS - 1)))
    start = min(run(["true"], 10)[1] for _ in range(REPEATS))
    print(code, f"{max(cpu - start, 0.0001):.4f}", peak)


main()
