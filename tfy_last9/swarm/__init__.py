"""The load side: the only package that imports Locust or gevent.

A locustfile needs two names from here::

    from tfy_last9.swarm import ScenarioUser, install
"""

from tfy_last9.swarm.plugin import install
from tfy_last9.swarm.users import ScenarioUser

__all__ = ["ScenarioUser", "install"]
