"""What the web UI shows of a run: tabs in Locust's own pages, and a page that stays after the run."""

from tfy_last9.swarm.live.routes import install_live

__all__ = ["install_live"]
