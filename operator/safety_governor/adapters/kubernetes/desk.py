"""Where people decide: who they are for the cluster, and their word patched into the incident as they are."""

from safety_governor.adapters.kubernetes.api import Api
from safety_governor.api import group
from safety_governor.domain import approvals


class ApprovalDesk:
    """Acts with the rights of whoever is at the command line, and with nothing else."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def whoami(self) -> str:
        """The user name that the API server sees."""
        review = await self._api.post(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "SelfSubjectReview",
            },
        )
        return str(review["status"]["userInfo"]["username"])

    async def decide(self, *, namespace: str, name: str, field: str, approval: approvals.Approval) -> None:
        """Write the approval into `approval` or `secondApproval`. Raises what the API server says against it."""
        path = f"/apis/{group.GROUP}/{group.VERSION}/namespaces/{namespace}/{group.INCIDENTS}/{name}"
        await self._api.patch(path, {"spec": {field: approval.model_dump(mode="json", exclude_defaults=True)}})
