"""Runs the command line: ``python -m optuna_metasampler``."""

from optuna_metasampler.cli import main


if __name__ == "__main__":
    main(prog_name="python -m optuna_metasampler")
