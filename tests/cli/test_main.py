"""The group of commands."""

from __future__ import annotations

from click.testing import CliRunner

from optuna_metasampler import __version__
from optuna_metasampler.cli import main


def test_the_command_line_shows_its_version_and_its_commands() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert __version__ in result.output
    assert sorted(main.commands) == ["archive", "builtin", "explain", "fit", "import", "inspect"]
