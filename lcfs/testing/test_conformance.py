"""The conformance kit: the converter that LCFS_CONVERTER names on each kind of layer; see docs/conformance.md."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lcfs.testing.conformance import Subject, adapted, load_converter, subjects
from lcfs.testing.conftest import note, option
from lcfs.testing.embeds import assert_embeds
from lcfs.testing.strategies import Case


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_converter(subject: Subject, request: pytest.FixtureRequest) -> None:
    """Assert that what the converter returns computes the same as what it was given."""
    convert = load_converter(option("CONVERTER"))
    takes_layers = option("CONVERTS", "net") == "layer"

    @settings(
        max_examples=int(option("EXAMPLES", "100")),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # the first case that differs is small already
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(subject.cases)
    def agrees(case: Case) -> None:
        converted = convert(case.model.get_submodule("0") if takes_layers else case.model, case.image)
        assert_embeds(case.model, adapted(converted, case), case.image, exact=True)

    try:
        agrees()
    except BaseException as error:
        note(request.config, subject, error)
        raise
    note(request.config, subject, None)
