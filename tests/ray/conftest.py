"""One Ray cluster of two cores on this machine for all tests of it, and what is compared: every byte of every table."""

import os
import warnings
from pathlib import Path

import pytest

from tests.tokenize.conftest import tiny as tiny

pytest.importorskip("ray")


@pytest.fixture(scope="session")
def ray_cluster():
    """Ray, running with two cores; the runs under test find it connected."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=False,
        )
    yield ray
    ray.shutdown()


def contents(folder: Path) -> dict[str, bytes]:
    """Every Parquet file of a dataset or token set by its place."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.parquet")}
