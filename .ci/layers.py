"""Shows what `cargo test` prints as layers, one for each package and one for the examples in the documentation.

    cargo test -- --show-output 2>&1 | python3 .ci/layers.py SUMMARY

A layer shows its programs of tests, their results and what was skipped; when one fails, everything that it
printed. SUMMARY gets the numbers of layers and of tests that passed. The exit status is 1 when a stage has no
test that passed; whether a test failed is what `cargo test` itself says.
"""

import json
import re
import subprocess
import sys
import time

PROGRAM = re.compile(r"^ +Running .*/([^/]+)-[0-9a-f]+\)$")
RESULT = re.compile(r"^test result: (ok|FAILED)\. (\d+) passed")


def owners():
    """Returns which package each program of tests belongs to."""
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["packages"]
    return {
        target["name"].replace("-", "_"): package["name"]
        for package in packages
        for target in package["targets"]
    }


class Layers:
    """The layers so far: the present one, what it has printed, and how many tests have passed in each."""

    def __init__(self):
        self.name, self.since, self.printed, self.passed = None, 0.0, [], {}

    def enter(self, name):
        if name == self.name:
            return
        self.finish()
        self.name, self.since, self.printed = name, time.monotonic(), []
        self.passed[name] = 0
        print(f"\n=== cargo test: {name}", flush=True)

    def finish(self):
        if self.name is not None:
            seconds, passed = time.monotonic() - self.since, self.passed[self.name]
            tests = f", {passed} tests passed" if passed else ""
            print(f"--- {self.name}: {seconds:.0f}s{tests}", flush=True)


def main():
    package_of, layers, failed = owners(), Layers(), False
    layers.enter("building")
    for line in sys.stdin:
        line = line.rstrip("\n")
        program, result = PROGRAM.match(line), RESULT.match(line)
        if program:
            layers.enter(package_of.get(program[1].replace("-", "_"), program[1]))
        elif line.lstrip().startswith("Doc-tests "):
            layers.enter("documentation")
        layers.printed.append(line)
        if result:
            layers.passed[layers.name] += int(result[2])
        failed |= line.startswith("error") or bool(result and result[1] == "FAILED")
        if program or result or line.startswith(("skipped", "   Doc-tests", "warning")):
            print(line, flush=True)
    if failed:
        print("\n".join(layers.printed))
        return
    layers.finish()
    with open(sys.argv[1], "w", encoding="utf-8") as summary:
        print(len(layers.passed), sum(layers.passed.values()), file=summary)
    stages = {package for package in package_of.values() if package.startswith("stage")}
    without = sorted(stage for stage in stages if not layers.passed.get(stage))
    if without:
        sys.exit(f"No test has passed of {', '.join(without)}.")


main()
