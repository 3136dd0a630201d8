"""How results are printed: sections, notes and tables in plain text."""

import time

_start = time.monotonic()


def section(name, text):
    print(f"\n== {name}: {text}   (at {time.monotonic() - _start:.0f} s)", flush=True)


def note(text):
    print(f"   {text}", flush=True)


def table(head, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        first, *others = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        print("   " + "  ".join([first, *others]).rstrip(), flush=True)
    print(flush=True)
