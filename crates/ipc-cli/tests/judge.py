"""judge.py JUDGE: runs the script JUDGE for each line `FLAGS<tab>READ<tab>WRITTEN` of standard input, all in this one
process, and prints for each one line: `equal`, or what it said."""
import contextlib
import io
import runpy
import sys

judge = sys.argv[1]
for line in sys.stdin.read().splitlines():
    flags, read, written = line.split("\t")
    sys.argv = [judge, *flags.split(), read, written]
    said = io.StringIO()
    status = 0
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(judge, run_name="__main__")
    except SystemExit as e:
        status = e.code or 0
    except Exception as e:
        status = f"{type(e).__name__}: {e}"
    text = said.getvalue().strip()
    print("equal" if status == 0 and text == "equal" else " ".join(f"{status} {text}".split())[:500])
