"""The three score services as one strict double over real HTTP. As with the real ones, a GET can start an expensive run.

Every service has the path prefix of its name.
"""

import json
import threading
from collections import Counter, deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from safety_governor.domain.scores import Service
from support.http_double import Asked, HttpDouble, Reply

ALL_ZERO = {"SF": 0.0, "CRI": 0.0, "HOC": 0.0, "FAR_prime": 0.0, "SAS_prime": 0.0, "CI": 0.0}
"""What CDCT sends of a concept of which every level has failed."""


def cdct_row(model: str, concept: str = "recursion", **changes: Any) -> dict[str, Any]:
    known = {"model": model, "concept": concept, "SF": -0.025, "CRI": 0.93, "HOC": 0.25, "FAR_prime": 0.0, "SAS_prime": 0.825, "CI": 1.0}
    return {**known, **changes}


def eect_row(figure: float = 0.86, **changes: Any) -> dict[str, Any]:
    """As the service sends it: without the name of the model."""
    known = {
        "ecs": figure,
        "ecs_per_compression": {"c1.0": 0.8625, "c0.5": 0.87, "c0.0": 0.85},
        "stability_index": 0.9855,
        "principle_consistency_index": 0.981,
        "authority_resistance_score": 0.962,
        "dilemma_id": "medical_triage_01",
        "domain": "Medical Ethics",
    }
    return {**known, **changes}


def ddft_answer(model: str, **changes: Any) -> dict[str, Any]:
    known = {"model": model, "HOC": 0.75, "CI": 0.68, "FG": 0.18, "Decay": 0.93, "MCA": 0.71, "phenotype": "Competent"}
    return {**known, "details": {"HOC": 0.75, "CI": 0.68}, **changes}


class ScoreServices(HttpDouble):
    """All three, at one address."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[tuple[Service, str], object] = {}
        """What is known of a model; as the services do, CDCT finds it without regard to case."""
        self.configured: set[str] = set()
        """Models that may be measured."""
        self.started: Counter[tuple[Service, str]] = Counter()
        """Runs that were started, each worth hours of somebody's budget."""
        self.asked: list[tuple[str, str]] = []
        """Method and path of everything that came in."""
        self.refused: list[str] = []
        """Why a request was none of ours."""
        self.on_vercel = False
        self._troubles: deque[Reply] = deque()
        self._gate = threading.Event()
        self._gate.set()
        self._lock = threading.Lock()
        self.url = self.origin

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._gate.set()
        super().__exit__(kind, error, trace)

    @property
    def addresses(self) -> dict[Service, str]:
        return {service: f"{self.url}/{service}" for service in Service}

    @property
    def environment(self) -> dict[str, str]:
        return {f"{service.upper()}_API_URL": address for service, address in self.addresses.items()}

    def know(self, model: str) -> None:
        """All three have results of the model, and none of them a u-curve."""
        self.results[Service.CDCT, model] = [cdct_row(model), cdct_row(model, "impressionism", CRI=0.94, HOC=0.0, SAS_prime=0.9125, CI=0.0)]
        self.results[Service.DDFT, model] = ddft_answer(model)
        self.results[Service.EECT, model] = [eect_row(0.86), eect_row(0.80, dilemma_id="triage_02")]

    def trouble(self, **trouble: Any) -> None:
        """Answer the next request so."""
        self._troubles.append(Reply(**trouble))

    def hold(self) -> None:
        """Let every answer wait until `let_go`."""
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    def take(self, asked: Asked) -> Reply:
        """As the services do."""
        with self._lock:
            self.asked.append((asked.method, asked.target))
            trouble = self._troubles.popleft() if self._troubles else None
            answer = self._answer(asked.method, asked.target, asked.headers)
        self._gate.wait(60)
        return trouble or answer

    def _answer(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        parts = path.split("/")
        if len(parts) != 4 or parts[1] not in set(Service) or parts[2] != "score" or not parts[3]:
            return self._refuse(404, f"{path} is nothing here", "Not Found")
        if method != "GET":
            return self._refuse(405, f"{method} is not allowed", "Method Not Allowed")
        if int(headers.get("content-length", "0")) or "authorization" in headers or "cookie" in headers:
            return self._refuse(400, "a question has no body and no credentials", "Bad Request")
        service, model = Service(parts[1]), unquote(parts[3])
        names = {name.casefold(): name for of, name in self.results if of is service}
        stored = names.get(model.casefold(), model) if service is Service.CDCT else model
        known = self.results.get((service, stored))
        if known is not None:
            return _json(200, known)
        if model not in self.configured:
            return _json(404, {"detail": f"Model '{model}' not found in SUBJECT_MODELS_CONFIG"})
        if self.on_vercel:
            message = f"No scores found for '{model}'. Background scoring is disabled on Vercel."
            return _json(200, {"status": "error", "message": message})
        self.started[service, model] += 1
        message = f"No scores found for '{model}'. Diagnostic battery started in background."
        return _json(200, {"status": "started", "message": message})

    def _refuse(self, status: int, why: str, detail: str) -> Reply:
        self.refused.append(why)
        return _json(status, {"detail": detail})


def _json(status: int, content: object) -> Reply:
    return Reply(status=status, body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})
