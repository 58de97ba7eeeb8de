"""DDFT: one object about the model, of which there are several forms."""

from safety_governor.domain import scores
from safety_governor.domain.scoring.instruments import Instrument, Metric, Row


def _weed(row: Row) -> Row | None:
    # Caches of this form fill in defaults for the other figures when nothing was measured.
    return None if "ci_score" in row and row["ci_score"] is None else row


INSTRUMENT = Instrument(
    service=scores.Service.DDFT,
    metrics=(
        Metric(name="ci", keys=("CI", "ci_score")),
        Metric(name="hoc", keys=("HOC",)),
        Metric(name="fg", keys=("FG",)),
        Metric(name="decay", keys=("Decay",)),
        Metric(name="mca", keys=("MCA",)),
        # Other measures than HOC and CI, in whose place some clients read them.
        Metric(name="er", keys=("ER", "er")),
        Metric(name="ih", keys=("ih",)),
        Metric(name="as_score", keys=("AS",)),
    ),
    weed=_weed,
)
