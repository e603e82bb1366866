"""Reading MPS files: every section, both formats, and errors that name the line."""

import numpy as np
import pytest

import fejer
from tests.linear.twin import general

INF = np.inf

FREE = """* a comment
NAME tiny

ROWS
 N cost
 L most
 G least
 E same
 N ignored
COLUMNS
 x cost 1 most 1
 x least 1
 y cost 2 most 1
 y same -1 ignored 5
 z cost -1.5D0 same 1e0
RHS
 rhs most 4 least 1
 rhs same 7 cost -10
 other most 100
BOUNDS
 UP bnd x 4
 LO bnd y -1
 UP bnd y 1
 FR bnd z
ENDATA
anything may follow
"""


@pytest.fixture
def read(tmp_path):
    def function(text):
        path = tmp_path / "problem.mps"
        path.write_text(text)
        return fejer.LinearProgram.from_mps(path)

    return function


def test_every_section(read):
    lp = read(FREE)
    assert lp.c.tolist() == [1, 2, -1.5] and lp.offset == 10
    assert lp.A.toarray().tolist() == [[1, 1, 0], [1, 0, 0], [0, -1, 1]]
    assert lp.row_lower.tolist() == [-INF, 1, 7] and lp.row_upper.tolist() == [4, INF, 7]
    assert lp.lower.tolist() == [0, -1, -INF] and lp.upper.tolist() == [4, 1, INF]
    result = fejer.minimize(lp)
    assert result.x == pytest.approx([1, 1, 8]) or result.x == pytest.approx([1, -1, 6])
    assert result.fun == pytest.approx(min(1 + 2 - 12, 1 - 2 - 9) + 10)


@pytest.mark.parametrize(
    ("kind", "width", "expected"),
    [
        ("L", 3, (2, 5)),
        ("L", -3, (2, 5)),
        ("G", 3, (5, 8)),
        ("G", -3, (5, 8)),
        ("E", 3, (5, 8)),
        ("E", -3, (2, 5)),
        ("E", 0, (5, 5)),
    ],
)
def test_ranges(read, kind, width, expected):
    text = f"ROWS\n N c\n {kind} r\nCOLUMNS\n x c 1 r 1\nRHS\n r 5\nRANGES\n g r {width}\nENDATA\n"
    lp = read(text)
    assert (lp.row_lower[0], lp.row_upper[0]) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], (0, INF)),
        (["UP b x 3"], (0, 3)),
        (["UP b x -3"], (-INF, -3)),
        (["LO b x -5", "UP b x -3"], (-5, -3)),
        (["UP b x -3", "LO b x -5"], (-5, -3)),
        (["UP b x 0"], (0, 0)),
        (["LO b x 2"], (2, INF)),
        (["FX b x 2"], (2, 2)),
        (["FR b x"], (-INF, INF)),
        (["MI b x"], (-INF, INF)),
        (["MI b x", "UP b x 4"], (-INF, 4)),
        (["UP b x 4", "MI b x"], (-INF, 4)),
        (["UP b x 4", "PL b x"], (0, INF)),
        (["FR x"], (-INF, INF)),
        (["UP x 3"], (0, 3)),
        (["MI b x 0"], (-INF, INF)),
        (["UP b x 1e30"], (0, INF)),
        (["UP b x 3", "UP second x 2"], (0, 3)),
    ],
)
def test_bounds(read, lines, expected):
    body = "".join(f" {line}\n" for line in lines)
    lp = read(f"ROWS\n N c\nCOLUMNS\n x c 1\nBOUNDS\n{body}ENDATA\n")
    assert (lp.lower[0], lp.upper[0]) == expected


@pytest.mark.parametrize("sense", ["OBJSENSE\n    MAX", "OBJSENSE MAXIMIZE", "OBJSENSE\n MAXIMISE"])
def test_maximize(read, sense):
    text = f"{sense}\nROWS\n N c\n L r\nCOLUMNS\n x c 2 r 1\nRHS\n b r 3 c -1\nENDATA\n"
    lp = read(text)
    assert lp.c.tolist() == [-2] and lp.offset == -1
    assert fejer.minimize(lp).fun == pytest.approx(-7)
    assert read(text.replace("MAX", "MIN")).c.tolist() == [2]


def test_fixed_format_with_blanks_in_names(read):
    rows = [("N", "total cost"[:8]), ("G", "need it")]
    text = "NAME          WITH BLANKS\nROWS\n"
    text += "".join(f" {kind}  {name:8}\n" for kind, name in rows)
    text += "COLUMNS\n"
    for column, cost in (("x 1", 2.0), ("x 2", 3.0)):
        text += f"    {column:8}  {'total co':8}  {cost:12}   {'need it':8}  {1.0:12}\n"
    text += f"RHS\n    {'':8}  {'need it':8}  {4.0:12}\n"
    text += f"BOUNDS\n UP {'b':8}  {'x 1':8}  {3.0:12}\nENDATA\n"
    lp = read(text)
    assert (
        lp.c.tolist() == [2, 3] and lp.row_lower.tolist() == [4] and lp.upper.tolist() == [3, INF]
    )


def test_columns_without_entries_and_duplicates(read):
    lp = read("ROWS\n N c\n G r\nCOLUMNS\n x c 0\n y r 1 r 2\n x c 3\nENDATA\n")
    assert lp.c.tolist() == [3, 0] and lp.A.toarray().tolist() == [[0, 3]]


def test_no_rows_and_no_objective(read):
    assert read("ROWS\n N c\nCOLUMNS\n x c 1\nENDATA\n").A.shape == (0, 1)
    assert read("ROWS\n G r\nCOLUMNS\n x r 1\nENDATA\n").c.tolist() == [0]


HEAD = "ROWS\n N c\n L r\nCOLUMNS\n x c 1 r 1\n"
BAD = [
    ("line 1: unknown section 'SOS'", "SOS\nENDATA\n"),
    ("line 1: expected a section", " x c 1\n"),
    ("line 2: ROWS", "ROWS\n Q c\nENDATA\n"),
    ("line 2: ROWS", "ROWS\n N\nENDATA\n"),
    ("line 3: ROWS: a second row 'c'", "ROWS\n N c\n L c\nENDATA\n"),
    ("line 4: ROWS: a second row 'r'", "ROWS\n N c\n L r\n G r\nENDATA\n"),
    ("line 6: COLUMNS: unknown row 's'", HEAD + " y s 1\nENDATA\n"),
    ("line 6: COLUMNS: expected", HEAD + " y r\nENDATA\n"),
    ("line 6: expected a number, got 'one'", HEAD + " y r one\nENDATA\n"),
    ("line 6: expected a number, got 'nan'", HEAD + " y r nan\nENDATA\n"),
    ("line 6: COLUMNS: integer", HEAD + " m 'MARKER' 'INTORG'\nENDATA\n"),
    ("line 7: RHS: unknown row", HEAD + "RHS\n b s 1\nENDATA\n"),
    ("line 7: expected a number", HEAD + "RHS\n b r x\nENDATA\n"),
    ("line 7: RANGES: unknown row", HEAD + "RANGES\n b s 1\nENDATA\n"),
    ("line 7: BOUNDS: BV is of an integer", HEAD + "BOUNDS\n BV b x\nENDATA\n"),
    ("line 7: BOUNDS: UI is of an integer", HEAD + "BOUNDS\n UI b x 3\nENDATA\n"),
    ("line 7: BOUNDS: SC is of an integer", HEAD + "BOUNDS\n SC b x 3\nENDATA\n"),
    ("line 7: BOUNDS: unknown type 'XX'", HEAD + "BOUNDS\n XX b x 3\nENDATA\n"),
    ("line 7: BOUNDS: unknown column 'y'", HEAD + "BOUNDS\n UP b y 3\nENDATA\n"),
    ("line 7: expected a number", HEAD + "BOUNDS\n UP b x\nENDATA\n"),
    ("line 7: BOUNDS: expected", HEAD + "BOUNDS\n UP x\nENDATA\n"),
    ("line 2: OBJSENSE", "OBJSENSE\n UPWARDS\n"),
    ("expected ENDATA", HEAD),
    ("expected at least one column", "ROWS\n N c\nCOLUMNS\nENDATA\n"),
    ("expected ENDATA", ""),
]


@pytest.mark.parametrize(("message", "text"), BAD, ids=[m for m, _ in BAD])
def test_bad_files(read, message, text):
    with pytest.raises(fejer.ProblemError, match=rf"^problem.mps, .*{message}"):
        read(text)


def test_empty_interval(read):
    with pytest.raises(fejer.ProblemError, match="empty interval"):
        read(HEAD + "BOUNDS\n LO b x 3\n UP b x 2\nENDATA\n")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        fejer.LinearProgram.from_mps(tmp_path / "none.mps")


def written(lp):
    """The program as free MPS, with each kind of row and bound."""
    A, m, n = lp.A.toarray(), *lp.A.shape
    lines, ranges, rhs, bounds = ["NAME written", "ROWS", " N obj"], [], [], []
    for i, (low, high) in enumerate(zip(lp.row_lower, lp.row_upper, strict=True)):
        kind = "E" if low == high else "L" if high < INF else "G" if low > -INF else "N"
        lines.append(f" {kind} r{i}")
        rhs.append(f" rhs r{i} {float(low if kind == 'G' else high)!r}" if kind != "N" else "")
        if kind == "L" and low > -INF:
            ranges.append(f" rng r{i} {float(high - low)!r}")
    lines.append("COLUMNS")
    for j in range(n):
        lines.append(f" x{j} obj {float(lp.c[j])!r}")
        lines += [f" x{j} r{i} {float(A[i, j])!r}" for i in range(m) if A[i, j]]
        low, high = float(lp.lower[j]), float(lp.upper[j])
        bounds.append(f" LO b x{j} {low!r}" if low > -INF else f" MI b x{j}")
        bounds += [f" UP b x{j} {high!r}"] if high < INF else []
    parts = ["RHS", *filter(None, rhs), "RANGES", *ranges, "BOUNDS", *bounds, "ENDATA"]
    return "\n".join(lines + parts) + "\n"


@pytest.mark.parametrize("seed", range(8))
def test_round_trip(read, seed):
    lp, optimum = general(seed)
    result = fejer.minimize(read(written(lp)), tol=1e-9)
    assert result.success and result.fun == pytest.approx(optimum, rel=1e-8, abs=1e-8)
