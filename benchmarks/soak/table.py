"""What a campaign found: a row for each kind of case, one Markdown table, one line for each shortfall."""

import dataclasses


@dataclasses.dataclass
class Finding:
    """One case. wrong: how it fell short, "" if it did not. count: cases in one. mebibytes: peak memory of its processes."""

    case: str
    wrong: str = ""
    count: int = 1
    mebibytes: float = 0.0
    seconds: float = 0.0


class Row:
    """All findings of one kind, of which `wanted` cases were planned."""

    def __init__(self, name, wanted):
        self.name, self.wanted = name, wanted
        self.count, self.mebibytes, self.seconds = 0, 0.0, 0.0
        self.shortfalls, self.notes = [], []

    def add(self, index, finding):
        self.count += finding.count
        self.mebibytes = max(self.mebibytes, finding.mebibytes)
        self.seconds = max(self.seconds, finding.seconds)
        if finding.wrong:
            self.shortfalls.append((index, finding))

    def cells(self):
        memory = f"{self.mebibytes:,.0f} MiB" if self.mebibytes else "-"
        seconds = f"{self.seconds:.1f} s" if self.count else "-"
        return [self.name, f"{self.count:,}", f"{len(self.shortfalls):,}", memory, seconds]


def markdown(rows):
    """The table of a campaign, with a last row for all."""
    total = Row("all", sum(row.wanted for row in rows))
    for row in rows:
        total.count += row.count
        total.shortfalls += row.shortfalls
        total.mebibytes, total.seconds = max(total.mebibytes, row.mebibytes), max(total.seconds, row.seconds)
    lines = ["| what | how many | fell short | peak memory | longest time |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row.cells()) + " |" for row in [*rows, total])])


def printable(text):
    """One line of `text` that any terminal can print."""
    return ascii(text)[1:-1] if not text.isprintable() else text


def explanations(rows, seed):
    """Lines below the table: each shortfall with the command that repeats it, planned cases that did not fit, and notes."""
    lines = []
    for row in rows:
        for index, finding in row.shortfalls:
            again = f'python benchmarks/soak --seed {seed} --only "{row.name}:{index}"'
            lines.append(printable(f"{row.name} {index}: {finding.case}: {finding.wrong[:400]}") + f"   [{again}]")
        lines += [f"{row.name}: {note}" for note in row.notes]
        if row.count < row.wanted:
            lines.append(f"{row.name}: {row.count:,} of {row.wanted:,} planned cases, in 1.5 times their share of the minutes")
    return lines
