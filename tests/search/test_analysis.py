"""How a text is taken apart before anything is compared."""

import pytest

from safety_governor.search import analysis

SPLIT = {
    "KubeCPUOvercommit": "Kube CPU Overcommit",
    "PodNotReady": "Pod Not Ready",
    "etcdMembersDown": "etcd Members Down",
    "Http5xxErrors": "Http5xx Errors",
    "node1Down": "node1 Down",
    "CPU": "CPU",
    "CPUThrottling": "CPU Throttling",
    "AVeryShortWord": "A Very Short Word",
    "two CPUs and PVCs.": "two CPU and PVC.",
    "CPUs\nPVCs": "CPU\nPVC",
    "spareCPUs": "spare CP Us",
    "no_CPUs": "no_CP Us",
    "CPUsage": "CP Usage",
    "As is": "As is",
    "étéCPUs": "étéCP Us",
    "a lone surrogate \ud800 X": "a lone surrogate ? X",
    "": "",
}


@pytest.mark.parametrize("text", SPLIT)
def test_capitals_begin_words_but_not_within_an_acronym(text: str) -> None:
    assert analysis.split(text) == SPLIT[text]


def test_an_acronym_and_its_plural_are_one_term() -> None:
    assert analysis.terms("CPUs") == analysis.terms("CPU")
