"""Compute the results of every study, or of those named: `python -m persona.ablations [STUDY]`."""

import argparse
import importlib
import pkgutil

from persona import ablations

STUDIES = [m.name for m in pkgutil.iter_modules(ablations.__path__) if not m.name.startswith("_")]


def main() -> None:
    """What is there and made the same way is kept, so a second call has nothing to do."""
    parser = argparse.ArgumentParser(prog="python -m persona.ablations", description=main.__doc__)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--jobs", type=int, help="processes (default: one per core)")
    arguments = parser.parse_args()
    for study in arguments.studies or STUDIES:
        if study not in STUDIES:
            parser.error(f"there is no study {study!r}; choose from {', '.join(STUDIES)}")
        importlib.import_module(f"persona.ablations.{study}").make(arguments.jobs)


if __name__ == "__main__":
    main()
