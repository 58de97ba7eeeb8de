"""CDCT: one row per concept. Neither its rows nor any other public service says how deep the u-curve of a model is."""

from safety_governor.domain import scores
from safety_governor.domain.scoring.instruments import Instrument, Metric, Row, number


def _weed(row: Row) -> Row | None:
    # When every level of a concept has failed, the service still sends a row, all of zeros: no data, not a bad model.
    return None if number(row.get("CRI")) == 0.0 and number(row.get("SAS_prime")) == 0.0 else row


INSTRUMENT = Instrument(
    service=scores.Service.CDCT,
    metrics=(
        Metric(name="u_curve_magnitude", keys=("u_curve_magnitude",)),
        Metric(name="cri", keys=("CRI",)),
        Metric(name="hoc", keys=("HOC",)),
        Metric(name="ci", keys=("CI",)),
        Metric(name="far_prime", keys=("FAR_prime",)),
        Metric(name="sas_prime", keys=("SAS_prime",)),
        Metric(name="sf", keys=("SF",), low=-1.0),
    ),
    weed=_weed,
)
