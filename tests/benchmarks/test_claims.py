"""The claims' command line; the claims themselves are measured, not tested."""

import pytest

from fejer.benchmarks import claims


@pytest.mark.parametrize("family", claims.families())
def test_claims_are_found(family):
    found = claims.claims(family)
    assert found
    assert len({entry.name for entry in found}) == len(found)
    assert all(entry.said for entry in found)


def test_unknown_names_are_answered(capsys):
    assert claims.main([]) == 2
    assert claims.main(["nothing"]) == 2
    assert "monotone" in capsys.readouterr().out
    assert claims.main(["monotone", "nothing"]) == 2
    assert "game-figure" in capsys.readouterr().out


def test_claims_are_printed(capsys, monkeypatch):
    @claims.claim("numbers are even")
    def even_numbers():
        yield "2", True
        yield "3", False
        yield "half", None

    monkeypatch.setattr(claims, "claims", lambda family: [even_numbers])
    assert claims.main(["monotone"]) == 0
    printed = capsys.readouterr().out
    assert "even-numbers: numbers are even" in printed
    assert "holds 2" in printed
    assert "FALLS 3" in printed
    assert "1 hold, 1 fall" in printed
