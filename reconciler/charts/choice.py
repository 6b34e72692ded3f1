"""Which of the versions that there are a range takes: the newest that fits, as Helm chooses."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.charts.protocol import ChartError
from reconciler.model.text import one_line
from reconciler.model.version import Range, Version

_SHOWN = 5


def choose(versions: Iterable[str], wanted: str) -> str:
    """As it is written there. Text that stands there as it is wanted is taken, whatever it means. Raises ChartError."""
    texts = list(dict.fromkeys(versions))
    if wanted and wanted in texts:
        return wanted
    try:
        fitting = Range.parse(wanted)
    except ValueError as error:
        raise ChartError(str(error)) from None
    known = []
    for text in texts:
        try:
            known.append(Version.parse(text))
        except ValueError:
            continue  # whoever publishes a version that is none publishes it for nobody
    found = max((version for version in known if fitting.fits(version)), default=None)
    if found is not None:
        return found.text
    newest = ", ".join(one_line(version.text, 40) for version in sorted(known, reverse=True)[:_SHOWN])
    early = " (a pre-release is taken only where the range names one, as >=0.0.0-0 does)" if known and all(version.pre for version in known) else ""
    raise ChartError(f"there is no version that fits; there are {newest}{early}" if newest else "there is no version of it", retry=True)
