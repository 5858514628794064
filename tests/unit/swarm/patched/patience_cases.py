"""What a worker says while there is no master."""

import logging

from locust import runners

from tfy_last9.swarm.patience import OnceWaiting


def test_an_absent_master_is_told_once_with_its_address_and_nothing_else_is_dropped(caplog):
    told = OnceWaiting()
    runners.logger.addFilter(told)
    try:
        with caplog.at_level(logging.INFO, "locust.runners"):
            for retry in range(6, 9):
                runners.logger.info(f"Failed to connect to master 10.0.0.5:5557, retry {retry}/60.")
            runners.logger.info("Got quit message from master, shutting down...")
    finally:
        runners.logger.removeFilter(told)
    assert [record.getMessage() for record in caplog.records] == [
        "nobody answers at 10.0.0.5:5557 yet; trying for five minutes in all",
        "Got quit message from master, shutting down...",
    ]
