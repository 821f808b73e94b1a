"""judge_many.py JUDGE: runs JUDGE, a script, once per line `FLAGS<tab>READ<tab>WRITTEN` of standard input, all in this
one process, and prints for each one line: `equal`, or what the judge said instead."""

import contextlib
import io
import runpy
import sys


def verdict(judge, arguments):
    said = io.StringIO()
    sys.argv = [judge, *arguments]
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(judge, run_name="__main__")
    except SystemExit as end:
        if end.code:
            return f"{said.getvalue()} (exit {end.code})"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return said.getvalue()


def main():
    judge = sys.argv[1]
    for line in sys.stdin.read().splitlines():
        flags, read, written = line.split("\t")
        print(" ".join(verdict(judge, [*flags.split(), read, written]).split()))


main()
