"""Discovery: the data sources and clusters of the organisation."""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.standins.last9.message import Reply, Request, json_reply
from tfy_last9.standins.last9.settings import Settings

CLUSTER_ID = "cl-1"
CREATED_AT = 1_767_225_600


@dataclass(frozen=True, slots=True)
class Sources:
    """Answers where the data of the organisation lives."""

    settings: Settings
    url: str
    """Where this API answers."""

    async def organization(self, _request: Request) -> Reply:
        """Describe the organisation itself."""
        slug = self.settings.organization
        return json_reply({"id": f"org-{slug}", "name": slug, "slug": slug}, rows=1)

    async def datasources(self, _request: Request) -> Reply:
        """List the data sources: a bare array, its default entry complete.

        Last9's MCP server refuses to start if the default entry lacks a URL, credentials, the region
        or the cluster id.
        """
        path = f"/v1/metrics/{CLUSTER_ID}/sender/{self.settings.organization}"
        default = {
            "id": "ds-1",
            "name": "sandbox",
            "is_default": True,
            "region": self.settings.region,
            "url": f"{self.url}{path}",
            "properties": {
                "username": CLUSTER_ID,
                "password": "sandbox",
                "levitate_cluster_id": CLUSTER_ID,
            },
        }
        return json_reply([default], rows=1)

    async def clusters(self, request: Request) -> Reply:
        """List the clusters, of one region if the query names one."""
        cluster = {
            "id": CLUSTER_ID,
            "name": "sandbox",
            "region": self.settings.region,
            "default": True,
            "created_at": CREATED_AT,
            "updated_at": CREATED_AT,
        }
        wanted = request.query.get("region", self.settings.region) == self.settings.region
        found = [cluster] if wanted else []
        return json_reply({"data": found, "status": "success"}, rows=len(found))
