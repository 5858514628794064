"""The load side: the only package that imports Locust or gevent.

A locustfile needs a few names from here, which `tfy_last9` has too::

    from tfy_last9 import ScenarioUser, install
"""

from tfy_last9.swarm.plugin import install
from tfy_last9.swarm.users import GatewayUser, Reply, ScenarioUser

__all__ = ["GatewayUser", "Reply", "ScenarioUser", "install"]
